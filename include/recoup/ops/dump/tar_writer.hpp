// A tar archive as a stream (POSIX.1-2001 "pax": ustar headers, and before them records for what these cannot hold).
//
// Why not libarchive (3.6 was tried): it converts names through the process's locale, which an engine must not set. In
// a process without a UTF-8 locale it puts "hdrcharset=BINARY" before every name that is not ASCII, at which GNU tar
// warns each time, writes attribute names percent-encoded, and in zip archives replaces such names by U+FFFD.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/ops/dump/acl_text.hpp>
#include <recoup/ops/dump/archive_entry.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// begin(), write() until `size` bytes were written, and so on for each entry, then finish(). Not thread-safe.
class tar_writer {
public:
  explicit tar_writer(byte_sink out) : out_(std::move(out)) {}

  /// `of` is a file, directory or symlink; `size` the length of a file's content.
  void begin(const std::string& path, const node& of, std::uint64_t size) {
    const auto name = archive_name(path, of);
    header fields;
    records more;
    fields.type = of.type == node_type::dir ? '5' : of.type == node_type::symlink ? '2' : '0';
    put_name(fields, more, name);
    put_text(fields.link, of.type == node_type::symlink ? of.link_target : std::string(), "linkpath", more);
    put_text(fields.user, of.user, "uname", more);
    put_text(fields.group, of.group, "gname", more);
    fields.mode = unix_permissions(of.mode);
    fields.uid = fitted(of.uid, 07777777, "uid", more);
    fields.gid = fitted(of.gid, 07777777, "gid", more);
    left_ = of.type == node_type::file ? size : 0;
    fields.size = fitted(left_, 077777777777, "size", more);
    padding_ = (block - left_ % block) % block;
    put_time(fields, of.mtime, more);
    put_attributes(of, more);
    if (!more.empty()) write_records(name, more);
    write_header(fields);
  }

  /// More of the content. Throws damaged if it gets longer than was announced.
  void write(byte_view content) {
    if (content.size() > left_) throw error(error_code::damaged, "the content is longer than its blobs are said to be");
    left_ -= content.size();
    if (!content.empty()) out_(content);
  }

  /// Ends an entry's content.
  void end() {
    if (left_ != 0) throw error(error_code::damaged, "the content is shorter than its blobs are said to be");
    out_(byte_view(zeros).first(padding_));
  }

  void finish() {
    out_(zeros);
    out_(zeros);
  }

private:
  static constexpr std::size_t block = 512;
  static constexpr std::array<std::uint8_t, block> zeros{};

  using records = std::map<std::string, std::string>;  // keyword -> value

  struct header {
    std::string name, prefix, link, user, group;
    std::uint64_t mode = 0, uid = 0, gid = 0, size = 0, mtime = 0;
    char type = '0';
  };

  [[nodiscard]] static bool is_ascii(std::string_view text) noexcept {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  }

  /// The part of a text that old readers may see; new ones take the record.
  [[nodiscard]] static std::string ascii_part(std::string_view text, std::size_t room) {
    std::string kept;
    std::ranges::copy_if(text, std::back_inserter(kept), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    kept.resize(std::min(kept.size(), room));
    return kept;
  }

  /// Up to 100 bytes, or up to 155 + 100 split at a slash.
  static void put_name(header& fields, records& more, const std::string& name) {
    constexpr std::size_t room = 100, prefix_room = 155;
    if (is_ascii(name) && name.size() <= room) {
      fields.name = name;
      return;
    }
    const auto slash = name.size() > room ? name.find('/', name.size() - room - 1) : name.npos;
    if (is_ascii(name) && slash != name.npos && slash > 0 && slash <= prefix_room && slash + 1 < name.size()) {
      fields.prefix = name.substr(0, slash);
      fields.name = name.substr(slash + 1);
      return;
    }
    fields.name = ascii_part(name, room);
    more.emplace("path", name);
  }

  static void put_text(std::string& field, const std::string& text, const char* keyword, records& more) {
    const std::size_t room = std::string_view(keyword) == "linkpath" ? 100 : 31;
    field = ascii_part(text, room);
    if (field != text) more.emplace(keyword, text);
  }

  [[nodiscard]] static std::uint64_t fitted(std::uint64_t value, std::uint64_t largest, const char* keyword,
                                            records& more) {
    if (value <= largest) return value;
    more.emplace(keyword, std::to_string(value));
    return 0;
  }

  static void put_time(header& fields, const timestamp& time, records& more) {
    constexpr std::int64_t latest = 077777777777;
    const bool fits = time.seconds >= 0 && time.seconds <= latest;
    fields.mtime = fits ? static_cast<std::uint64_t>(time.seconds) : 0;
    if (fits && time.nanoseconds == 0) return;
    // Decimals go the same way as the sign: -1.5 is half a second before -1, which is -2 s and 500,000,000 ns.
    const bool borrowed = time.seconds < 0 && time.nanoseconds != 0;
    const auto whole = borrowed ? time.seconds + 1 : time.seconds;
    const auto part = borrowed ? 1'000'000'000 - time.nanoseconds : time.nanoseconds;
    std::string text = (borrowed && whole == 0 ? "-" : "") + std::to_string(whole);
    if (part != 0) {
      char digits[16];
      std::snprintf(digits, sizeof digits, ".%09d", static_cast<int>(part));
      text += digits;
      text.erase(text.find_last_not_of('0') + 1);
    }
    more.emplace("mtime", text);
  }

  static void put_attributes(const node& of, records& more) {
    for (const auto& attribute : of.extended_attributes) {
      // A record ends its keyword with "=", so a name that holds one cannot be written.
      if (attribute.name.empty() || attribute.name.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
        continue;
      const byte_view value = attribute.value ? byte_view(*attribute.value) : byte_view();
      if (attribute.name == "system.posix_acl_access" || attribute.name == "system.posix_acl_default") {
        if (auto text = acl_as_text(value))
          more.emplace(attribute.name == "system.posix_acl_access" ? "SCHILY.acl.access" : "SCHILY.acl.default", *text);
      } else {
        more.emplace("SCHILY.xattr." + attribute.name, as_text(value));
      }
    }
  }

  /// "<length> <keyword>=<value>\n", where the length counts its own digits.
  static void append_record(std::string& to, const std::string& keyword, const std::string& value) {
    const auto rest = keyword.size() + value.size() + 3;
    auto length = rest + std::to_string(rest).size();
    length = rest + std::to_string(length).size();
    to.append(std::to_string(length)).append(" ").append(keyword).append("=").append(value).append("\n");
  }

  void write_records(const std::string& name, const records& more) {
    std::string text;
    for (const auto& [keyword, value] : more) append_record(text, keyword, value);
    header fields;
    auto base = name.substr(0, name.find_last_not_of('/') + 1);
    base = base.substr(base.rfind('/') + 1);
    fields.name = "PaxHeaders.0/" + ascii_part(base, 80);
    fields.type = 'x';
    fields.mode = 0644;
    fields.size = text.size();
    write_header(fields);
    out_(as_bytes(text));
    out_(byte_view(zeros).first((block - text.size() % block) % block));
  }

  void write_header(const header& fields) {
    std::array<std::uint8_t, block> raw{};
    const auto text = [&raw](std::size_t at, std::size_t room, std::string_view value) {
      std::ranges::copy(value.substr(0, room), raw.begin() + static_cast<std::ptrdiff_t>(at));
    };
    const auto octal = [&raw](std::size_t at, std::size_t digits, std::uint64_t value) {
      for (; digits > 0; --digits, value /= 8) raw[at + digits - 1] = static_cast<std::uint8_t>('0' + value % 8);
    };
    text(0, 100, fields.name);
    octal(100, 7, fields.mode);
    octal(108, 7, fields.uid);
    octal(116, 7, fields.gid);
    octal(124, 11, fields.size);
    octal(136, 11, fields.mtime);
    text(148, 8, "        ");  // what the checksum counts in its own place
    raw[156] = static_cast<std::uint8_t>(fields.type);
    text(157, 100, fields.link);
    text(257, 8, std::string_view("ustar\00000", 8));
    text(265, 31, fields.user);
    text(297, 31, fields.group);
    octal(329, 7, 0);
    octal(337, 7, 0);
    text(345, 155, fields.prefix);
    std::uint64_t sum = 0;
    for (const auto byte : raw) sum += byte;
    octal(148, 6, sum);
    raw[154] = 0;
    out_(raw);
  }

  const byte_sink out_;
  std::uint64_t left_ = 0;   // of the content of the entry
  std::size_t padding_ = 0;  // after it
};

}  // namespace recoup
