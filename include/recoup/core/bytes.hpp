// Byte buffers, views of them, and their two text forms: hexadecimal and base64.
#pragma once

#include <sodium.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>

namespace recoup {

/// std::allocator, but elements made without a value stay uninitialised. A 16 MiB buffer that is about to be
/// overwritten by read() would otherwise be cleared first, a whole pass over memory for nothing.
template <class Value>
class default_init_allocator : public std::allocator<Value> {
public:
  template <class Other>
  struct rebind {
    using other = default_init_allocator<Other>;
  };
  using std::allocator<Value>::allocator;

  template <class Other>
  void construct(Other* place) noexcept(std::is_nothrow_default_constructible_v<Other>) {
    ::new (static_cast<void*>(place)) Other;
  }
  template <class Other, class... Args>
  void construct(Other* place, Args&&... args) {
    std::construct_at(place, std::forward<Args>(args)...);
  }
};

/// Owned bytes. `resize` leaves new bytes uninitialised.
using bytes = std::vector<std::uint8_t, default_init_allocator<std::uint8_t>>;
using byte_view = std::span<const std::uint8_t>;
using byte_span = std::span<std::uint8_t>;

[[nodiscard]] inline byte_view as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(byte_view view) noexcept {
  return {reinterpret_cast<const char*>(view.data()), view.size()};
}

inline void append(bytes& to, byte_view more) { to.insert(to.end(), more.begin(), more.end()); }

[[nodiscard]] inline bool is_all_zero(byte_view content) noexcept {
  // Equal to itself shifted by one byte, and the first byte is zero: memcmp is as fast as anything.
  return content.empty() ||
         (content[0] == 0 && std::memcmp(content.data(), content.data() + 1, content.size() - 1) == 0);
}

[[nodiscard]] inline std::string to_hex(byte_view view) {
  std::string text(view.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), view.data(), view.size());
  text.pop_back();
  return text;
}

/// Fills `into` from exactly twice as many hexadecimal digits, of either case. False if `text` is anything else.
[[nodiscard]] inline bool from_hex(std::string_view text, byte_span into) noexcept {
  std::size_t written = 0;
  return text.size() == into.size() * 2 &&
         sodium_hex2bin(into.data(), into.size(), text.data(), text.size(), nullptr, &written, nullptr) == 0 &&
         written == into.size();
}

/// Standard alphabet, padded (RFC 4648 section 4), as Go's encoding/json writes byte slices.
[[nodiscard]] inline std::string to_base64(byte_view view) {
  std::string text(sodium_base64_encoded_len(view.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), view.data(), view.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();
  return text;
}

/// Throws error_code::damaged if `text` is not padded standard base64.
[[nodiscard]] inline bytes from_base64(std::string_view text) {
  bytes decoded(text.size() / 4 * 3 + 3);
  std::size_t written = 0;
  if (sodium_base642bin(decoded.data(), decoded.size(), text.data(), text.size(), "\r\n", &written, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0)
    throw error(error_code::damaged, "not valid base64");
  decoded.resize(written);
  return decoded;
}

[[nodiscard]] inline std::uint32_t load_u32_le(const std::uint8_t* from) noexcept {
  return std::uint32_t{from[0]} | std::uint32_t{from[1]} << 8 | std::uint32_t{from[2]} << 16 |
         std::uint32_t{from[3]} << 24;
}

inline void store_u32_le(std::uint8_t* to, std::uint32_t value) noexcept {
  to[0] = static_cast<std::uint8_t>(value);
  to[1] = static_cast<std::uint8_t>(value >> 8);
  to[2] = static_cast<std::uint8_t>(value >> 16);
  to[3] = static_cast<std::uint8_t>(value >> 24);
}

[[nodiscard]] inline std::uint64_t load_u64_le(const std::uint8_t* from) noexcept {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return std::endian::native == std::endian::little ? value : __builtin_bswap64(value);
}

inline void store_u64_le(std::uint8_t* to, std::uint64_t value) noexcept {
  if (std::endian::native != std::endian::little) value = __builtin_bswap64(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace recoup
