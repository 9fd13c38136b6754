// Files under tests/data, and how a test says that bytes must be refused.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

/// The folder tests/. ctest names it in RECOUP_TESTS; __FILE__ would not do, as ccache makes it relative to wherever
/// the compiler ran.
[[nodiscard]] inline std::filesystem::path tests_directory() {
  const char* const named = std::getenv("RECOUP_TESTS");
  if (named == nullptr) throw std::runtime_error("run this with ctest, or set RECOUP_TESTS to the folder tests/");
  return named;
}

[[nodiscard]] inline std::filesystem::path test_data(const std::string& name) {
  return tests_directory() / "data" / name;
}

/// A case about the repositories that other programs made. These are no part of the project, so where their folder is
/// absent the case is skipped, with a word.
template <class Base>
class needs_fixtures : public Base {
protected:
  void SetUp() override {
    const char* const named = std::getenv("RECOUP_FIXTURES");
    if (named == nullptr || !std::filesystem::exists(named))
      GTEST_SKIP() << "no fixtures: RECOUP_FIXTURES is " << (named == nullptr ? "not set" : named);
    fixtures_ = named;
  }

  [[nodiscard]] const std::filesystem::path& fixtures() const noexcept { return fixtures_; }

private:
  std::filesystem::path fixtures_;
};

[[nodiscard]] inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The lines of a table of hexadecimal columns, decoded; "-" stays as it is.
[[nodiscard]] inline std::vector<std::vector<std::string>> read_hex_table(const std::string& name) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(read_file(test_data(name)));
  for (std::string line; std::getline(lines, line);) {
    auto& row = rows.emplace_back();
    for (std::size_t start = 0; start <= line.size();) {
      const auto end = std::min(line.find('\t', start), line.size());
      const auto column = std::string_view(line).substr(start, end - start);
      std::string decoded(column.size() / 2, '\0');
      if (column == "-")
        decoded = "-";
      else if (!recoup::from_hex(column, {reinterpret_cast<std::uint8_t*>(decoded.data()), decoded.size()}))
        throw std::runtime_error("bad table " + name);
      row.push_back(decoded);
      start = end + 1;
    }
  }
  return rows;
}

/// Runs `action`, which must throw recoup::error with this code and a message that contains `part`.
template <class Action>
void expect_error(recoup::error_code code, std::string_view part, Action&& action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown; expected: " << part;
  } catch (const recoup::error& problem) {
    EXPECT_EQ(problem.code(), code) << problem.what();
    EXPECT_NE(std::string_view(problem.what()).find(part), std::string_view::npos)
        << "the message is: " << problem.what() << "\nand should contain: " << part;
  }
}
