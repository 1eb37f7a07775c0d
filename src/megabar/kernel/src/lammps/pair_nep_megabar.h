// LAMMPS pair style nep/megabar.
//
//   pair_style nep/megabar [single | double]
//   pair_coeff * * path/nep.txt H Ca       (one element or NULL for each atom type)
//
// Needs units metal and newton on. `single` computes the inner loops in float and accumulates in double.
//
// The extrapolation grade of each atom comes from the active_set.txt beside nep.txt, every n steps:
//   fix grade all pair 100 nep/megabar grade 1
//   compute worst all reduce max f_grade
//   variable worst equal c_worst
//   fix domain all halt 100 v_worst > 5 error soft
#ifndef MEGABAR_PAIR_NEP_MEGABAR_H
#define MEGABAR_PAIR_NEP_MEGABAR_H

#include <memory>
#include <string>
#include <vector>

#include "../active_set.hpp"
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
  // For fix pair: "grade_flag" asks for grades at the next step, "grade" holds them.
  void *extract(const char *name, int &dim) override;
  void *extract_peratom(const char *name, int &columns) override;

 private:
  void tally_virials();

  bool single_ = true;
  std::string path_;
  megabar::Model model_;
  std::unique_ptr<megabar::Evaluator> evaluator_;
  int grade_flag_ = 0;
  std::unique_ptr<megabar::ActiveSet> active_set_;
  std::vector<double> grade_, descriptor_;  // [local atom], [dim]
  std::vector<int> type_map_;         // LAMMPS type -> element of the model, or -1
  std::vector<double> atom_virial_;   // [local and ghost atom][9]
};

}  // namespace LAMMPS_NS

#endif
