// The name of every blob and every file in a repository but `config`: a SHA-256.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>

namespace recoup {

struct id {
  static constexpr std::size_t size = 32;
  static constexpr std::size_t hex_size = 64;

  std::array<std::uint8_t, size> value{};

  [[nodiscard]] friend bool operator==(const id&, const id&) noexcept = default;
  [[nodiscard]] friend auto operator<=>(const id&, const id&) noexcept = default;

  [[nodiscard]] byte_view view() const noexcept { return value; }
  [[nodiscard]] std::string hex() const { return to_hex(value); }
  /// The first 8 digits, as people see it in lists.
  [[nodiscard]] std::string short_hex() const { return to_hex(view().first(4)); }
  [[nodiscard]] bool is_zero() const noexcept {
    return std::all_of(value.begin(), value.end(), [](auto byte) { return byte == 0; });
  }

  /// Nothing unless `text` is exactly 64 lowercase hexadecimal digits: file names in a repository have one spelling.
  [[nodiscard]] static std::optional<id> parse(std::string_view text) noexcept {
    id result;
    const bool lowercase = std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; });
    if (!lowercase || !from_hex(text, result.value)) return std::nullopt;
    return result;
  }
};

/// The value is already a hash: any eight bytes of it spread evenly.
struct id_hash {
  [[nodiscard]] std::size_t operator()(const id& key) const noexcept {
    std::size_t first;
    std::memcpy(&first, key.value.data(), sizeof first);
    return first;
  }
};

}  // namespace recoup

template <>
struct std::hash<recoup::id> : recoup::id_hash {};
