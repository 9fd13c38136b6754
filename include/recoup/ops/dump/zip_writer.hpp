// A zip archive as a stream (PKWARE APPNOTE 6.3), with what Unix needs: modes, symlinks, times to the second in UTC.
//
// A file's header goes out before its content, so checksum and compressed size follow it ("data descriptor"); the
// central directory at the end repeats all of it. Sizes and offsets beyond 4 GiB take the 64-bit forms.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/json/utf8.hpp>
#include <recoup/ops/dump/archive_entry.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// Used as tar_writer. Keeps some 60 bytes and the name of each entry for the central directory. Not thread-safe.
class zip_writer {
public:
  explicit zip_writer(byte_sink out) : out_(std::move(out)) {
    if (::deflateInit2(&deflate_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw error(error_code::failure, "no memory for zlib");
  }
  zip_writer(const zip_writer&) = delete;
  zip_writer& operator=(const zip_writer&) = delete;
  ~zip_writer() { ::deflateEnd(&deflate_); }

  void begin(const std::string& path, const node& of, std::uint64_t size) {
    current_ = {};
    current_.name = archive_name(path, of);
    if (current_.name.size() > UINT16_MAX)
      throw error(error_code::unsupported,
                  "a zip archive holds no names of more than 65535 bytes: " + path.substr(0, 100) + "…");
    current_.offset = written_;
    announced_ = of.type == node_type::file ? size : 0;
    current_.external = external_attributes(of);
    put_time(of.mtime);
    const bool is_ascii =
        std::ranges::none_of(current_.name, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    if (!is_ascii && is_valid_utf8(current_.name)) current_.flags |= utf8_flag;
    if (of.type == node_type::file && size > 0) {
      current_.flags |= descriptor_flag;
      current_.method = Z_DEFLATED;
      current_.is_large = size >= large;
      ::deflateReset(&deflate_);
    } else if (of.type == node_type::symlink) {
      const auto target = as_bytes(of.link_target);
      current_.crc = checksum(0, target);
      current_.size = current_.stored = target.size();
    }
    write_local_header();
    if (of.type == node_type::symlink) emit(as_bytes(of.link_target));
  }

  void write(byte_view content) {
    if (content.empty()) return;
    if (content.size() > announced_ - current_.size)
      throw error(error_code::damaged, "the content is longer than its blobs are said to be");
    current_.crc = checksum(current_.crc, content);
    current_.size += content.size();
    compress(content, Z_NO_FLUSH);
  }

  void end() {
    if (current_.method == Z_DEFLATED) {
      if (current_.size != announced_)
        throw error(error_code::damaged, "the content is shorter than its blobs are said to be");
      compress({}, Z_FINISH);
      bytes descriptor;
      put32(descriptor, 0x08074b50);
      put32(descriptor, current_.crc);
      put_size(descriptor, current_.stored);
      put_size(descriptor, current_.size);
      emit(descriptor);
    }
    add_to_directory();
  }

  void finish() {
    const auto start = written_;
    emit(directory_);
    const auto length = written_ - start;
    bytes ending;
    if (entries_ >= UINT16_MAX || start >= UINT32_MAX || length >= UINT32_MAX)
      append_large_ending(ending, start, length);
    put32(ending, 0x06054b50);
    put16(ending, 0), put16(ending, 0);
    put16(ending, limited<std::uint16_t>(entries_)), put16(ending, limited<std::uint16_t>(entries_));
    put32(ending, limited<std::uint32_t>(length)), put32(ending, limited<std::uint32_t>(start));
    put16(ending, 0);
    emit(ending);
  }

private:
  static constexpr std::uint16_t descriptor_flag = 1u << 3, utf8_flag = 1u << 11;
  // Below 4 GiB by more than what deflate can add to random bytes.
  static constexpr std::uint64_t large = 4'000'000'000;

  struct entry {
    std::string name;
    std::uint64_t offset = 0, size = 0, stored = 0;
    std::uint32_t crc = 0, external = 0;
    std::uint16_t flags = 0, method = 0, dos_time = 0, dos_date = 0;
    bytes time_field;
    bool is_large = false;
  };

  static void put16(bytes& to, std::uint64_t value) {
    to.push_back(static_cast<std::uint8_t>(value)), to.push_back(static_cast<std::uint8_t>(value >> 8));
  }
  static void put32(bytes& to, std::uint64_t value) { put16(to, value), put16(to, value >> 16); }
  static void put64(bytes& to, std::uint64_t value) { put32(to, value), put32(to, value >> 32); }
  void put_size(bytes& to, std::uint64_t value) const { current_.is_large ? put64(to, value) : put32(to, value); }

  /// All bits set says that the 64-bit form counts.
  template <class Field>
  [[nodiscard]] static std::uint64_t limited(std::uint64_t value) noexcept {
    return std::min<std::uint64_t>(value, std::numeric_limits<Field>::max());
  }

  [[nodiscard]] static std::uint32_t checksum(std::uint32_t so_far, byte_view more) {
    return static_cast<std::uint32_t>(::crc32_z(so_far, more.data(), more.size()));
  }

  void emit(byte_view data) {
    written_ += data.size();
    if (!data.empty()) out_(data);
  }

  [[nodiscard]] static std::uint32_t external_attributes(const node& of) noexcept {
    const std::uint32_t type = of.type == node_type::dir       ? 0040000u
                               : of.type == node_type::symlink ? 0120000u
                                                               : 0100000u;
    constexpr std::uint32_t dos_read_only = 0x01, dos_directory = 0x10;
    const auto permissions = unix_permissions(of.mode);
    return (type | permissions) << 16 | (of.type == node_type::dir ? dos_directory : 0) |
           ((permissions & 0200u) == 0 ? dos_read_only : 0);
  }

  /// The old field has local time in steps of two seconds from 1980 to 2107; "UT" has seconds since 1970 in 32 bits.
  void put_time(const timestamp& time) {
    using namespace std::chrono;
    constexpr std::int64_t first = 315532800, last = 4354819198;  // 1980-01-01, 2107-12-31T23:59:58
    const auto local = std::clamp(time.seconds + time.zone_offset, first, last);
    const auto day = floor<days>(sys_seconds(seconds(local)));
    const year_month_day date(day);
    const auto second = static_cast<unsigned>(local - day.time_since_epoch().count() * 86400);
    current_.dos_time = static_cast<std::uint16_t>(second / 3600 << 11 | second / 60 % 60 << 5 | second % 60 / 2);
    current_.dos_date =
        static_cast<std::uint16_t>(static_cast<unsigned>(static_cast<int>(date.year()) - 1980) << 9 |
                                   static_cast<unsigned>(date.month()) << 5 | static_cast<unsigned>(date.day()));
    if (time.seconds < INT32_MIN || time.seconds > INT32_MAX) return;
    put16(current_.time_field, 0x5455), put16(current_.time_field, 5);
    current_.time_field.push_back(1);  // the mtime and nothing else
    put32(current_.time_field, static_cast<std::uint64_t>(time.seconds));
  }

  /// From "version needed" to the two lengths: the same in both headers.
  void append_common(bytes& to, bool is_local, const bytes& extra) const {
    put16(to, current_.is_large ? 45 : 20);
    put16(to, current_.flags);
    put16(to, current_.method);
    put16(to, current_.dos_time), put16(to, current_.dos_date);
    const bool later = is_local && (current_.flags & descriptor_flag) != 0;
    put32(to, later ? 0 : current_.crc);
    if (current_.is_large) {
      put32(to, UINT32_MAX), put32(to, UINT32_MAX);
    } else {
      put32(to, later ? 0 : current_.stored), put32(to, later ? 0 : current_.size);
    }
    put16(to, current_.name.size());
    put16(to, extra.size());
  }

  void write_local_header() {
    bytes extra = current_.time_field;
    if (current_.is_large) put16(extra, 1), put16(extra, 16), put64(extra, 0), put64(extra, 0);
    bytes header;
    put32(header, 0x04034b50);
    append_common(header, true, extra);
    append(header, as_bytes(current_.name));
    append(header, extra);
    emit(header);
  }

  void add_to_directory() {
    bytes extra = current_.time_field, wide;
    if (current_.is_large) put64(wide, current_.size), put64(wide, current_.stored);
    if (current_.offset >= UINT32_MAX) put64(wide, current_.offset);
    if (!wide.empty()) {
      put16(extra, 1), put16(extra, wide.size());
      append(extra, wide);
    }
    put32(directory_, 0x02014b50);
    put16(directory_, 3u << 8 | (wide.empty() ? 20u : 45u));  // made on Unix
    append_common(directory_, false, extra);
    put16(directory_, 0), put16(directory_, 0), put16(directory_, 0);  // comment, disk, internal attributes
    put32(directory_, current_.external);
    put32(directory_, limited<std::uint32_t>(current_.offset));
    append(directory_, as_bytes(current_.name));
    append(directory_, extra);
    ++entries_;
  }

  void append_large_ending(bytes& to, std::uint64_t start, std::uint64_t length) const {
    put32(to, 0x06064b50);
    put64(to, 44);  // of what follows
    put16(to, 3u << 8 | 45u), put16(to, 45);
    put32(to, 0), put32(to, 0);
    put64(to, entries_), put64(to, entries_);
    put64(to, length), put64(to, start);
    put32(to, 0x07064b50);
    put32(to, 0), put64(to, start + length), put32(to, 1);
  }

  void compress(byte_view content, int flush) {
    // zlib counts input in 32 bits; blobs are at most 4 GiB, mostly 8 MiB.
    do {
      const auto part = content.first(std::min<std::size_t>(content.size(), 1u << 30));
      content = content.subspan(part.size());
      deflate_.next_in = const_cast<Bytef*>(part.data());
      deflate_.avail_in = static_cast<uInt>(part.size());
      do {
        deflate_.next_out = buffer_.data();
        deflate_.avail_out = static_cast<uInt>(buffer_.size());
        if (::deflate(&deflate_, content.empty() ? flush : Z_NO_FLUSH) == Z_STREAM_ERROR)
          throw error(error_code::failure, "zlib failed");
        const auto made = byte_view(buffer_).first(buffer_.size() - deflate_.avail_out);
        current_.stored += made.size();
        emit(made);
      } while (deflate_.avail_out == 0);
    } while (!content.empty());
  }

  const byte_sink out_;
  z_stream deflate_{};
  bytes buffer_ = bytes(std::size_t{256} << 10);
  entry current_;
  std::uint64_t announced_ = 0;
  bytes directory_;
  std::uint64_t entries_ = 0, written_ = 0;
};

}  // namespace recoup
