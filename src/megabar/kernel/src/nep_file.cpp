// Reading nep.txt for the LAMMPS pair style; the same checks as the reader in megabar/potential/nep.py.
#include <array>
#include <stdexcept>

#include "nep.hpp"
#include "reader.hpp"

namespace megabar {

namespace {

const std::array<const char *, 118> kElements = {
    "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",  "S",  "Cl",
    "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se",
    "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb",
    "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er",
    "Tm", "Yb", "Lu", "Hf", "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At",
    "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No",
    "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};

}  // namespace

int atomic_number(const std::string &symbol) {
  for (std::size_t i = 0; i < kElements.size(); ++i)
    if (symbol == kElements[i]) return static_cast<int>(i) + 1;
  return 0;
}

Model read_model(const std::string &path) {
  Reader in(path, "nep.txt", "fetch the file again or train it anew as NEP4");
  Model m;
  const std::vector<std::string> title = in.words();
  if (title.size() < 3 || (title[0] != "nep4" && title[0] != "nep4_zbl")) in.fail("does not start with 'nep4'");
  m.zbl = title[0] == "nep4_zbl";
  m.elements.assign(title.begin() + 2, title.end());
  if (in.integer(title[1]) != static_cast<int>(m.elements.size())) in.fail("names another number of elements");
  for (const std::string &symbol : m.elements) {
    m.atomic_number.push_back(atomic_number(symbol));
    if (m.atomic_number.back() == 0) in.fail("'" + symbol.substr(0, 40) + "' is not a chemical element");
  }
  const std::size_t types = m.elements.size();

  if (m.zbl) {
    const auto words = in.after("zbl", 2, 3);
    m.zbl_inner = in.number(words[0]);
    m.zbl_outer = in.number(words[1]);
    if (words.size() == 3 || m.zbl_outer == 0) in.fail("typewise and flexible ZBL are not supported");
  }
  const auto cutoff = in.after("cutoff", 4, 2 * types + 2 > 4 ? 2 * types + 2 : 4);
  if (cutoff.size() != 4 && cutoff.size() != 2 * types + 2) in.fail("'cutoff' has the wrong number of entries");
  for (std::size_t t = 0; t < types; ++t) {
    const std::size_t start = cutoff.size() == 4 ? 0 : 2 * t;
    m.cutoff_radial.push_back(in.number(cutoff[start]));
    m.cutoff_angular.push_back(in.number(cutoff[start + 1]));
  }
  const auto n_max = in.after("n_max", 2, 2);
  m.n_radial = in.integer(n_max[0]) + 1;
  m.n_angular = in.integer(n_max[1]) + 1;
  const auto basis = in.after("basis_size", 2, 2);
  m.k_radial = in.integer(basis[0]) + 1;
  m.k_angular = in.integer(basis[1]) + 1;
  const auto l_max = in.after("l_max", 3, 7);
  m.l_max = in.integer(l_max[0]);
  m.q222 = in.integer(l_max[1]) > 0;
  m.q1111 = in.integer(l_max[2]) > 0;
  for (std::size_t i = 3; i < l_max.size(); ++i)
    if (in.integer(l_max[i]) > 0) in.fail("4-body terms beyond q222 are not supported");
  const auto network = in.after("ANN", 2, 2);
  m.neurons = in.integer(network[0]);
  if (in.integer(network[1]) != 0 || m.neurons < 1 || m.neurons > 1000) in.fail("'ANN' must be 1 to 1000 neurons and 0");
  if (m.n_radial > kMaxRadial || m.n_angular > kMaxRadial || m.k_radial > kMaxBasis || m.k_angular > kMaxBasis ||
      m.l_max > kMaxL)
    in.fail("n_max, basis_size or l_max is larger than supported");

  const std::size_t neurons = static_cast<std::size_t>(m.neurons), dim = static_cast<std::size_t>(m.dim());
  for (std::size_t t = 0; t < types; ++t)
    for (auto &part : {std::make_pair(&m.w0, neurons * dim), std::make_pair(&m.b0, neurons),
                       std::make_pair(&m.w1, neurons)}) {
      const std::vector<double> found = in.values(part.second);
      part.first->insert(part.first->end(), found.begin(), found.end());
    }
  m.b1 = in.values(1)[0];
  m.c_radial = in.values(static_cast<std::size_t>(m.n_radial * m.k_radial) * types * types);
  if (m.l_max > 0) m.c_angular = in.values(static_cast<std::size_t>(m.n_angular * m.k_angular) * types * types);
  m.q_scaler = in.values(dim);
  in.end();
  try {
    m.check();
  } catch (const std::invalid_argument &error) {
    throw std::runtime_error(path + ": header: " + error.what());
  }
  return m;
}

}  // namespace megabar
