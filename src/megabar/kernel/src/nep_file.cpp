// Reading nep.txt for the LAMMPS pair style; the same checks as the reader in megabar/potential/nep.py.
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "nep.hpp"

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

class Reader {
 public:
  explicit Reader(const std::string &path) : path_(path), stream_(path) {
    if (!stream_) throw std::runtime_error(path + ": cannot be read; give the path of a nep.txt");
  }

  [[noreturn]] void fail(const std::string &reason) const {
    throw std::runtime_error(path_ + ": line " + std::to_string(row_) + ": " + reason +
                             "; fetch the file again or train it anew as NEP4");
  }

  std::vector<std::string> words() {
    std::string line;
    ++row_;
    // Every writer ends the last line; without its end, digits of the last number may be lost.
    if (!std::getline(stream_, line) || stream_.eof()) fail("the file breaks off here");
    std::istringstream in(line);
    std::vector<std::string> found;
    for (std::string word; in >> word;) found.push_back(word);
    return found;
  }

  // Words after the keyword, at least `least` and at most `most`.
  std::vector<std::string> after(const std::string &keyword, std::size_t least, std::size_t most) {
    std::vector<std::string> found = words();
    if (found.empty() || found[0] != keyword) fail("expected the '" + keyword + "' line");
    found.erase(found.begin());
    if (found.size() < least || found.size() > most) fail("'" + keyword + "' has the wrong number of entries");
    return found;
  }

  int integer(const std::string &word) const {
    bool digits = !word.empty() && word.size() < 8;
    for (char c : word) digits = digits && std::isdigit(static_cast<unsigned char>(c));
    if (!digits) fail("'" + word.substr(0, 40) + "' is not a whole number");
    return std::atoi(word.c_str());
  }

  double number(const std::string &word) const {
    char *end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (end == word.c_str() || *end != '\0' || !std::isfinite(value))
      fail("'" + word.substr(0, 40) + "' is not a finite number");
    return value;
  }

  std::vector<double> values(std::size_t count) {
    std::vector<double> found(count);
    for (double &value : found) {
      const std::vector<std::string> line = words();
      if (line.size() != 1) fail("expected one number");
      value = number(line[0]);
    }
    return found;
  }

  void end() {
    for (std::string line; std::getline(stream_, line);)
      if (line.find_first_not_of(" \t\r") != std::string::npos) {
        ++row_;
        fail("more parameters than the header asks for");
      }
  }

 private:
  std::string path_;
  std::ifstream stream_;
  int row_ = 0;
};

}  // namespace

int atomic_number(const std::string &symbol) {
  for (std::size_t i = 0; i < kElements.size(); ++i)
    if (symbol == kElements[i]) return static_cast<int>(i) + 1;
  return 0;
}

Model read_model(const std::string &path) {
  Reader in(path);
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
