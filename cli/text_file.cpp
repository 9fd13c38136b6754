#include "text_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <recoup/core/error.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/json/utf8.hpp>

#include "format.hpp"

namespace recoup::cli {

namespace {

constexpr std::size_t longest_secret = 1 << 20;

bool starts_with(byte_view raw, std::initializer_list<std::uint8_t> mark) {
  return raw.size() >= mark.size() && std::equal(mark.begin(), mark.end(), raw.begin());
}

std::size_t put_rune(std::uint32_t rune, byte_span into) {
  const auto byte = [&](std::size_t at, std::uint32_t value) { into[at] = static_cast<std::uint8_t>(value); };
  if (rune < 0x80) return byte(0, rune), 1;
  if (rune < 0x800) return byte(0, 0xc0 | rune >> 6), byte(1, 0x80 | (rune & 0x3f)), 2;
  if (rune < 0x10000)
    return byte(0, 0xe0 | rune >> 12), byte(1, 0x80 | (rune >> 6 & 0x3f)), byte(2, 0x80 | (rune & 0x3f)), 3;
  byte(0, 0xf0 | rune >> 18), byte(1, 0x80 | (rune >> 12 & 0x3f));
  return byte(2, 0x80 | (rune >> 6 & 0x3f)), byte(3, 0x80 | (rune & 0x3f)), 4;
}

}  // namespace

std::size_t decode_secret(byte_view raw, byte_span into) {
  const bool big = starts_with(raw, {0xfe, 0xff});
  const bool little = starts_with(raw, {0xff, 0xfe});
  if (!big && !little) {
    if (starts_with(raw, {0xef, 0xbb, 0xbf})) raw = raw.subspan(3);
    std::copy(raw.begin(), raw.end(), into.begin());
    return raw.size();
  }
  constexpr std::uint32_t replacement = 0xfffd;
  const auto unit = [&](std::size_t at) -> std::uint32_t {
    return big ? std::uint32_t{raw[at]} << 8 | raw[at + 1] : std::uint32_t{raw[at + 1]} << 8 | raw[at];
  };
  std::size_t length = 0;
  std::size_t at = 2;
  while (at + 1 < raw.size()) {
    std::uint32_t rune = unit(at);
    at += 2;
    if (rune >= 0xd800 && rune < 0xdc00 && at + 1 < raw.size() && unit(at) >= 0xdc00 && unit(at) < 0xe000) {
      rune = 0x10000 + ((rune - 0xd800) << 10) + (unit(at) - 0xdc00);
      at += 2;
    } else if (rune >= 0xd800 && rune < 0xe000) {
      rune = replacement;
    }
    length += put_rune(rune, into.subspan(length));
  }
  if (at < raw.size()) length += put_rune(replacement, into.subspan(length));
  return length;
}

secret_bytes read_secret(int descriptor, const std::string& what) {
  secret_bytes buffer(longest_secret + 1);
  std::size_t length = 0;
  for (;;) {
    const auto got = ::read(descriptor, buffer.span().data() + length, buffer.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read " + what);
    if (got == 0) return secret_bytes(buffer.view().first(length));
    length += static_cast<std::size_t>(got);
    if (length > longest_secret)
      throw error(error_code::invalid_argument, what + " is longer than 1 MiB, so it is hardly what was meant");
  }
}

secret_bytes trimmed_secret(byte_view text) { return secret_bytes(as_bytes(trim_space(as_text(text)))); }

secret_bytes read_secret_file(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) throw error(error_code::not_found, path + " does not exist");
    throw system_error(errno, "cannot open " + path);
  }
  const auto raw = read_secret(file.get(), path);
  secret_bytes decoded(raw.size() / 2 * 3 + 4);
  const auto length = decode_secret(raw.view(), decoded.span());
  return trimmed_secret(decoded.view().first(length));
}

}  // namespace recoup::cli
