// LAMMPS pair style nep/megabar.
//
//   pair_style nep/megabar [single | double]
//   pair_coeff * * path/nep.txt H Ca       (one element or NULL for each atom type)
//
// Needs units metal and newton on. `single` computes the inner loops in float and accumulates in double.
#ifndef MEGABAR_PAIR_NEP_MEGABAR_H
#define MEGABAR_PAIR_NEP_MEGABAR_H

#include <memory>
#include <vector>

#include "../nep.hpp"
#include "pair.h"

namespace LAMMPS_NS {

class PairNepMegabar : public Pair {
 public:
  explicit PairNepMegabar(LAMMPS *lmp);
  ~PairNepMegabar() override;
  void compute(int eflag, int vflag) override;
  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  double memory_usage() override;

 private:
  void tally_virials();

  bool single_ = true;
  std::unique_ptr<megabar::Evaluator> evaluator_;
  std::vector<int> type_map_;         // LAMMPS type -> element of the model, or -1
  std::vector<double> atom_virial_;   // [local and ghost atom][9]
};

}  // namespace LAMMPS_NS

#endif
