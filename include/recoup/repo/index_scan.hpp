// A reader for index files in the very form in which restic, rustic and recoup write them: no blanks, fields in their
// usual order, nothing that is not expected. It needs a quarter of a JSON parser's time, and none of its memory (seven
// times the text). It judges nothing: where the text is anything else it stops, and index_file.hpp asks the parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/read_hex.hpp>
#include <recoup/repo/indexed_pack.hpp>

namespace recoup {

class index_scan {
public:
  explicit index_scan(byte_view json) : at_(as_text(json).data()), end_(at_ + json.size()) {}

  /// Calls `visit(const indexed_pack&)` for each pack that is as expected, from the first on. Returns how many these
  /// were, and whether that was all of the file.
  template <class Visit>
  [[nodiscard]] std::pair<std::size_t, bool> run(indexed_pack& pack, Visit&& visit) {
    std::size_t visited = 0;
    if (!take("{\"packs\":[")) return {0, false};
    if (!take("]")) {
      do {
        if (!read_pack(pack)) return {visited, false};
        visit(std::as_const(pack));
        ++visited;
      } while (take(","));
      if (!take("]")) return {visited, false};
    }
    if (!take("}")) return {visited, false};
    (void)take("\n");
    return {visited, at_ == end_};
  }

private:
  [[nodiscard]] bool take(std::string_view text) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < text.size() || std::memcmp(at_, text.data(), text.size()) != 0)
      return false;
    at_ += text.size();
    return true;
  }

  [[nodiscard]] bool read_id(id& name) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < id::hex_size || !read_hex(at_, name.value)) return false;
    at_ += id::hex_size;
    return true;
  }

  /// What comes after the number is not looked at: no other text than that of an integer goes on as is expected here.
  [[nodiscard]] bool read_number(std::uint32_t& number) noexcept {
    std::uint64_t value = 0;
    const auto* const start = at_;
    for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint64_t>(*at_ - '0');
      if (value > std::numeric_limits<std::uint32_t>::max()) return false;
    }
    number = static_cast<std::uint32_t>(value);
    return at_ != start && (*start != '0' || at_ == start + 1);
  }

  [[nodiscard]] bool read_pack(indexed_pack& pack) {
    pack.blobs.clear();
    if (!take("{\"id\":\"") || !read_id(pack.pack) || !take("\",\"blobs\":[")) return false;
    if (!take("]")) {
      do {
        if (!read_blob(pack.blobs.emplace_back())) return false;
      } while (take(","));
      if (!take("]")) return false;
    }
    return take("}");
  }

  [[nodiscard]] bool read_blob(packed_blob& blob) noexcept {
    if (!take("{\"id\":\"") || !read_id(blob.handle.id) || !take("\",\"type\":\"")) return false;
    if (take("tree"))
      blob.handle.type = blob_type::tree;
    else if (!take("data"))
      return false;
    if (!take("\",\"offset\":") || !read_number(blob.offset) || !take(",\"length\":") || !read_number(blob.length))
      return false;
    if (take(",\"uncompressed_length\":") && !read_number(blob.uncompressed_length)) return false;
    return blob.length >= 32 && blob.length <= std::numeric_limits<std::uint32_t>::max() - blob.offset && take("}");
  }

  const char* at_;
  const char* end_;
};

}  // namespace recoup
