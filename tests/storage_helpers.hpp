// What tests of storage put there, and how they look at what comes of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup_test {

using namespace recoup;

[[nodiscard]] inline bytes random_content(std::size_t length, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  bytes content(length);
  for (auto& byte : content) byte = static_cast<std::uint8_t>(generator() >> 56);
  return content;
}

[[nodiscard]] inline id numbered_id(std::uint64_t number) {
  std::mt19937_64 generator(number + 1);
  id result;
  for (auto& byte : result.value) byte = static_cast<std::uint8_t>(generator() >> 56);
  return result;
}

/// How a repository names its files: a backend may count on it, and check it.
[[nodiscard]] inline stored_file named_by(file_type type, byte_view content, bool holds_trees = false) {
  return {type, sha256(content), holds_trees};
}

/// The code of what `action` throws; nothing if it throws nothing.
template <class Action>
[[nodiscard]] std::optional<error_code> code_of(const Action& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const error& caught) {
    if (message != nullptr) *message = caught.what();
    return caught.code();
  }
  return std::nullopt;
}

[[nodiscard]] inline std::map<id, std::uint64_t> listed(backend& storage, file_type type) {
  std::map<id, std::uint64_t> found;
  storage.list(type, [&](const listed_file& file) {
    EXPECT_TRUE(found.emplace(file.name, file.size).second) << file.name.hex() << " was listed twice";
  });
  return found;
}

}  // namespace recoup_test
