// Environment variables for one test, put back afterwards.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

class scoped_environment {
public:
  scoped_environment() = default;
  scoped_environment(const scoped_environment&) = delete;
  scoped_environment& operator=(const scoped_environment&) = delete;
  ~scoped_environment() {
    for (auto at = before_.rbegin(); at != before_.rend(); ++at) change(at->first, at->second);
  }

  void set(const std::string& name, const std::string& value) { replace(name, value); }
  void unset(const std::string& name) { replace(name, std::nullopt); }

private:
  void replace(const std::string& name, const std::optional<std::string>& value) {
    const char* const present = std::getenv(name.c_str());
    before_.emplace_back(name, present == nullptr ? std::nullopt : std::optional<std::string>(present));
    change(name, value);
  }

  static void change(const std::string& name, const std::optional<std::string>& value) {
    if (value)
      ::setenv(name.c_str(), value->c_str(), 1);
    else
      ::unsetenv(name.c_str());
  }

  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};
