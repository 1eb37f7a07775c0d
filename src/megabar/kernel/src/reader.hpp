// A text file read line by line; every complaint names the file, the line and the remedy.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace megabar {

class Reader {
 public:
  // `name`: what the file is called; `remedy`: what to do when it is damaged.
  Reader(const std::string &path, const std::string &name, const std::string &remedy)
      : path_(path), remedy_(remedy), stream_(path) {
    if (!stream_) throw std::runtime_error(path + ": cannot be read; give the path of a " + name);
  }

  [[noreturn]] void fail(const std::string &reason) const {
    throw std::runtime_error(path_ + ": line " + std::to_string(row_) + ": " + reason + "; " + remedy_);
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
  std::string path_, remedy_;
  std::ifstream stream_;
  int row_ = 0;
};

}  // namespace megabar
