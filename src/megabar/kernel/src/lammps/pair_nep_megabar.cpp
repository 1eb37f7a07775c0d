#include "pair_nep_megabar.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

namespace LAMMPS_NS {

PairNepMegabar::PairNepMegabar(LAMMPS *lmp) : Pair(lmp) {
  single_enable = 0;
  restartinfo = 0;  // the model lives in nep.txt; an input that restarts names it again in pair_coeff
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_AVAIL;
}

PairNepMegabar::~PairNepMegabar() {
  if (copymode || !allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairNepMegabar::settings(int narg, char **arg) {
  if (narg > 1 || (narg == 1 && std::strcmp(arg[0], "single") != 0 && std::strcmp(arg[0], "double") != 0))
    error->all(FLERR, "pair_style nep/megabar takes 'single' or 'double' or nothing");
  single_ = narg == 0 || std::strcmp(arg[0], "single") == 0;
}

void PairNepMegabar::coeff(int narg, char **arg) {
  const int types = atom->ntypes;
  if (!allocated) {
    memory->create(setflag, types + 1, types + 1, "pair:setflag");
    memory->create(cutsq, types + 1, types + 1, "pair:cutsq");
    allocated = 1;
  }
  if (narg != 3 + types || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR, "write pair_coeff * * path/nep.txt and then an element or NULL for each of the " +
                          std::to_string(types) + " atom types");

  std::string problem;
  path_ = arg[2];
  active_set_.reset();
  try {
    model_ = megabar::read_model(path_);
    evaluator_ = std::make_unique<megabar::Evaluator>(model_, single_);
  } catch (const std::exception &failure) {
    problem = failure.what();
  }
  if (!problem.empty()) error->all(FLERR, problem);

  std::string known;
  for (const std::string &element : model_.elements) known += " " + element;
  type_map_.assign(static_cast<std::size_t>(types) + 1, -1);
  for (int t = 1; t <= types; ++t) {
    const std::string name = arg[2 + t];
    if (name == "NULL") continue;
    const auto found = std::find(model_.elements.begin(), model_.elements.end(), name);
    if (found == model_.elements.end())
      error->all(FLERR, "element " + name + " of atom type " + std::to_string(t) + " is not in " + arg[2] +
                            ", which has" + known + "; use a potential that holds it, or NULL");
    type_map_[static_cast<std::size_t>(t)] = static_cast<int>(found - model_.elements.begin());
  }
  bool any = false;
  for (int i = 1; i <= types; ++i)
    for (int j = 1; j <= types; ++j) {
      setflag[i][j] = type_map_[static_cast<std::size_t>(i)] >= 0 && type_map_[static_cast<std::size_t>(j)] >= 0;
      any = any || setflag[i][j];
    }
  if (!any) error->all(FLERR, "pair_coeff of nep/megabar maps every atom type to NULL; name at least one element");
}

void PairNepMegabar::init_style() {
  if (std::strcmp(update->unit_style, "metal") != 0)
    error->all(FLERR, "pair style nep/megabar works in eV and Angstrom: write 'units metal'");
  if (force->newton_pair == 0)
    error->all(FLERR, "pair style nep/megabar adds forces to ghost atoms: write 'newton on'");
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

double PairNepMegabar::init_one(int i, int j) {
  if (setflag[i][j] == 0) error->all(FLERR, "not all pair coefficients of nep/megabar are set");
  return evaluator_->cutoff();
}

void PairNepMegabar::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  if (list->inum == 0) {
    // A rank in empty space; its arrays of atoms may not exist.
    if (vflag_fdotr) virial_fdotr_compute();
    return;
  }
  megabar::System system;
  system.x = atom->x[0];
  system.type = atom->type;
  system.type_map = type_map_.data();
  system.mask = NEIGHMASK;
  system.force = atom->f[0];
  if (vflag_atom || cvflag_atom) {
    atom_virial_.assign(9 * static_cast<std::size_t>(atom->nlocal + atom->nghost), 0.0);
    system.atom_virial = atom_virial_.data();
  }
  double virial_sum[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
  // Without the fdotr shortcut (as under pair style hybrid with run_style respa) the sum is tallied pair by pair.
  if (vflag_global) system.virial = virial_sum;

  double *descriptor = nullptr;
  if (grade_flag_) {
    grade_.assign(static_cast<std::size_t>(atom->nmax), 0.0);
    descriptor = descriptor_.data();
  }

  for (int ii = 0; ii < list->inum; ++ii) {
    const int i = list->ilist[ii];
    const int type = type_map_[static_cast<std::size_t>(atom->type[i])];
    if (type < 0) continue;
    const double energy = evaluator_->centre(system, i, list->firstneigh[i], list->numneigh[i], descriptor);
    if (descriptor) grade_[static_cast<std::size_t>(i)] = active_set_->grade(type, descriptor);
    if (eflag_global) eng_vdwl += energy;
    if (eflag_atom) eatom[i] += energy;
  }

  if (vflag_global) {
    // LAMMPS counts a push as positive virial.
    const int order[6] = {0, 4, 8, 1, 2, 5};
    for (int k = 0; k < 6; ++k) virial[k] -= virial_sum[order[k]];
  }
  if (system.atom_virial) tally_virials();
  if (vflag_fdotr) virial_fdotr_compute();
}

void PairNepMegabar::tally_virials() {
  const int all = atom->nlocal + atom->nghost;
  for (int i = 0; i < all; ++i) {
    const double *w = atom_virial_.data() + 9 * static_cast<std::size_t>(i);
    if (vflag_atom) {
      vatom[i][0] -= w[0];
      vatom[i][1] -= w[4];
      vatom[i][2] -= w[8];
      vatom[i][3] -= 0.5 * (w[1] + w[3]);
      vatom[i][4] -= 0.5 * (w[2] + w[6]);
      vatom[i][5] -= 0.5 * (w[5] + w[7]);
    }
    if (cvflag_atom) {
      const int order[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
      for (int k = 0; k < 9; ++k) cvatom[i][k] -= w[order[k]];
    }
  }
}

void *PairNepMegabar::extract(const char *name, int &dim) {
  if (std::strcmp(name, "grade_flag") != 0 || !evaluator_) return nullptr;
  if (!active_set_) {
    std::string problem;
    try {
      const std::size_t folder = path_.find_last_of("/\\") + 1;
      active_set_ = std::make_unique<megabar::ActiveSet>(path_.substr(0, folder) + "active_set.txt", model_);
      descriptor_.resize(static_cast<std::size_t>(evaluator_->dim()));
    } catch (const std::exception &failure) {
      problem = failure.what();
    }
    if (!problem.empty()) error->all(FLERR, problem);
  }
  dim = 0;
  return &grade_flag_;
}

void *PairNepMegabar::extract_peratom(const char *name, int &columns) {
  if (std::strcmp(name, "grade") != 0) return nullptr;
  columns = 0;
  // A rank that was empty at the last step may own atoms now.
  grade_.resize(static_cast<std::size_t>(std::max(atom->nmax, 1)), 0.0);
  return grade_.data();
}

double PairNepMegabar::memory_usage() {
  return Pair::memory_usage() + static_cast<double>((atom_virial_.capacity() + grade_.capacity()) * sizeof(double));
}

}  // namespace LAMMPS_NS
