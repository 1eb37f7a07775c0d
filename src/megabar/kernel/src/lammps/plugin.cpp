// Registers pair style nep/megabar when LAMMPS loads the library (https://docs.lammps.org/Developer_plugins.html).
#include "lammps.h"
#include "pair_nep_megabar.h"

namespace {

// The record that LAMMPS expects from a plugin; its header is not among those installed with LAMMPS.
struct Record {
  const char *version, *style, *name, *info, *author;
  void *(*creator)(void *);
  void *handle;
};
using Register = void (*)(Record *, void *);

void *create(void *lammps) { return new LAMMPS_NS::PairNepMegabar(static_cast<LAMMPS_NS::LAMMPS *>(lammps)); }

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle, void *add) {
  Record record;
  record.version = MEGABAR_LAMMPS_VERSION;
  record.style = "pair";
  record.name = "nep/megabar";
  record.info = "NEP4 neuroevolution potential of megabar";
  record.author = "The megabar developers";
  record.creator = create;
  record.handle = handle;
  reinterpret_cast<Register>(add)(&record, lammps);
}
