#include "format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <limits>

#include <recoup/json/go_quote.hpp>
#include <recoup/json/utf8.hpp>
#include <recoup/repo/node.hpp>

namespace recoup::cli {

std::string formatted(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  std::string text(static_cast<std::size_t>(std::max(length, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  return text;
}

std::string format_bytes(std::uint64_t count) {
  constexpr std::array<const char*, 4> units{"KiB", "MiB", "GiB", "TiB"};
  if (count < 1024) return std::to_string(count) + " B";
  std::size_t unit = 0;
  while (unit + 1 < units.size() && count >= std::uint64_t{1} << (10 * (unit + 2))) ++unit;
  return formatted("%.3f %s", static_cast<double>(count) / std::exp2(10.0 * static_cast<double>(unit + 1)),
                   units[unit]);
}

std::string format_percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return {};
  return formatted("%3.2f%%", std::min(100.0, 100.0 * static_cast<double>(part) / static_cast<double>(whole)));
}

std::string format_seconds(std::uint64_t seconds) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  if (seconds >= 3600)
    return formatted("%llu:%02llu:%02llu", number(seconds / 3600), number(seconds / 60 % 60), number(seconds % 60));
  return formatted("%llu:%02llu", number(seconds / 60), number(seconds % 60));
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return format_seconds(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)));
}

namespace {

/// The wall clock of an instant at an offset from UTC.
std::tm civil(std::int64_t seconds, std::int32_t offset) {
  const auto shown = static_cast<std::time_t>(seconds + offset);
  std::tm result{};
  ::gmtime_r(&shown, &result);
  return result;
}

std::string date_and_time(const std::tm& time) {
  return formatted("%04d-%02d-%02d %02d:%02d:%02d", time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour,
                   time.tm_min, time.tm_sec);
}

}  // namespace

std::string format_local_time(const timestamp& time) {
  return date_and_time(civil(time.seconds, local_zone_offset(time.seconds)));
}

namespace {

/// Nothing unless all of `text` is spelled as strptime's `format` says and the day exists.
std::optional<timestamp> parse_time(const std::string& text, const char* format) {
  std::tm time{};
  time.tm_isdst = -1;
  constexpr long no_zone = std::numeric_limits<long>::min();
  time.tm_gmtoff = no_zone;
  const char* end = ::strptime(text.c_str(), format, &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{time.tm_year + 1900},
                                         std::chrono::month{static_cast<unsigned>(time.tm_mon) + 1},
                                         std::chrono::day{static_cast<unsigned>(time.tm_mday)}};
  if (!date.ok()) return std::nullopt;  // mktime would make the 31st of April the 1st of May
  if (time.tm_gmtoff == no_zone) return local_timestamp(std::mktime(&time), 0);
  const auto offset = time.tm_gmtoff;
  return local_timestamp(::timegm(&time) - offset, 0);
}

}  // namespace

std::optional<timestamp> parse_local_time(const std::string& text) { return parse_time(text, "%Y-%m-%d %H:%M:%S"); }

std::optional<timestamp> parse_any_time(const std::string& text) {
  for (const auto* format : {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S %z", "%d.%m.%Y",
                             "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S %z"})
    if (const auto time = parse_time(text, format)) return time;
  // "Mon Jan 2 15:04:05 -0700 MST 2006"
  if (const auto words = split(text, ' '); words.size() == 7)
    return parse_time(join({words[6], words[1], words[2], words[3], words[4]}, " "), "%Y %b %d %H:%M:%S %z");
  // Names of zones mean little without a place; UTC and the two of our own zone do.
  const auto space = text.rfind(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto rest = text.substr(0, space), zone = text.substr(space + 1);
  for (const auto* format : {"%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S"}) {
    if (zone == "UTC" || zone == "GMT") return parse_time(rest + " +0000", (std::string(format) + " %z").c_str());
    if (zone == ::tzname[0] || zone == ::tzname[1])
      if (const auto time = parse_time(rest, format)) return time;
  }
  return std::nullopt;
}

std::string format_full_time(const timestamp& time) {
  auto text = date_and_time(civil(time.seconds, time.zone_offset));
  if (time.nanoseconds != 0) {
    text += formatted(".%09d", time.nanoseconds);
    while (text.back() == '0') text.pop_back();
  }
  const auto minutes = std::abs(time.zone_offset) / 60;
  const auto numeric = formatted("%c%02d%02d", time.zone_offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
  // A name is known only for the zone the process runs in and for UTC; Go repeats the number otherwise.
  std::string name = numeric;
  const auto instant = static_cast<std::time_t>(time.seconds);
  std::tm local{};
  if (::localtime_r(&instant, &local) != nullptr && local.tm_gmtoff == time.zone_offset && local.tm_zone != nullptr)
    name = local.tm_zone;
  else if (time.zone_offset == 0)
    name = "UTC";
  return text + " " + numeric + " " + name;
}

std::string format_mode(std::uint32_t mode) {
  // Go's letters, from bit 31 down; a bit that nodes never carry has its letter all the same.
  constexpr std::string_view letters = "dalTLDpSugct?";
  std::string text;
  for (std::size_t i = 0; i < letters.size(); ++i)
    if ((mode & 1u << (31 - i)) != 0) text += letters[i];
  if (text.empty()) text = "-";
  constexpr std::string_view permissions = "rwxrwxrwx";
  for (std::size_t i = 0; i < permissions.size(); ++i) text += (mode & 1u << (8 - i)) != 0 ? permissions[i] : '-';
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) (i == 0 ? text : text.append(separator)).append(parts[i]);
  return text;
}

std::string bracketed(const std::vector<std::string>& parts) { return "[" + join(parts, " ") + "]"; }

namespace {

struct rune_range {
  char32_t first, last;
};

/// Unicode's East Asian Width W and F, in whole blocks where nearly all of a block is wide.
constexpr std::array<rune_range, 21> wide_ranges{{
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff01, 0xff60},
    {0xffe0, 0xffe6},   {0x17000, 0x18cff}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff},
    {0x20000, 0x3fffd},
}};

std::size_t rune_width(char32_t rune) {
  if (rune < 0x300) return 1;
  if (rune <= 0x36f) return 0;  // combining marks sit on the character before
  const auto* after = std::upper_bound(wide_ranges.begin(), wide_ranges.end(), rune,
                                       [](char32_t value, const rune_range& range) { return value < range.first; });
  return after != wide_ranges.begin() && rune <= std::prev(after)->last ? 2 : 1;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const auto next = decode_rune(text);
    width += rune_width(next.rune);
    text.remove_prefix(next.width);
  }
  return width;
}

std::string_view truncated(std::string_view text, std::size_t width) {
  std::size_t length = 0;
  while (length < text.size()) {
    const auto next = decode_rune(text.substr(length));
    const auto cells = rune_width(next.rune);
    if (cells > width) break;
    width -= cells;
    length += next.width;
  }
  return text.substr(0, length);
}

std::string quoted_if_needed(std::string_view text) {
  for (auto rest = text; !rest.empty();) {
    const auto next = decode_rune(rest);
    if (next.rune == 0xfffd || !is_go_printable(next.rune)) {
      std::string quoted = "\"";
      append_go_quoted(quoted, text);
      return quoted + "\"";
    }
    rest.remove_prefix(next.width);
  }
  return std::string(text);
}

std::string without_control_characters(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const auto next = decode_rune(text);
    // 0x80 to 0x9f are control characters too, of eight-bit terminals; a byte that is not UTF-8 may be one.
    const bool is_control = next.rune < 0x20 || (next.rune >= 0x7f && next.rune < 0xa0) ||
                            (next.rune == 0xfffd && next.width == 1);
    if (is_control && next.rune != '\n' && next.rune != '\t')
      for (const char byte : text.substr(0, next.width))
        clean += formatted("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    else
      clean += text.substr(0, next.width);
    text.remove_prefix(next.width);
  }
  return clean;
}

namespace {

using lines_of_cells = std::vector<std::vector<std::string>>;

void append_row(std::string& to, const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  lines_of_cells lines;
  std::size_t height = 1;
  for (const auto& cell : cells) {
    lines.push_back(split(cell, '\n'));
    height = std::max(height, lines.back().size());
  }
  for (std::size_t line = 0; line < height; ++line) {
    const auto start = to.size();
    for (std::size_t column = 0; column < lines.size(); ++column) {
      const std::string& value = line < lines[column].size() ? lines[column][line] : std::string{};
      if (column != 0) to += "  ";
      to += value;
      to.append(widths[column] - display_width(value), ' ');
    }
    while (to.size() > start && to.back() == ' ') to.pop_back();
    to += '\n';
  }
}

}  // namespace

std::string table::text() const {
  std::vector<std::size_t> widths(headers_.size(), 0);
  const auto widen = [&](const std::vector<std::string>& cells) {
    for (std::size_t column = 0; column < cells.size(); ++column)
      for (const auto& line : split(cells[column], '\n'))
        widths[column] = std::max(widths[column], display_width(line));
  };
  widen(headers_);
  for (const auto& row : rows_) widen(row);

  std::size_t total = 2 * (std::max<std::size_t>(widths.size(), 1) - 1);
  for (const auto width : widths) total += width;
  const auto rule = std::string(total, '-') + "\n";

  std::string text;
  append_row(text, headers_, widths);
  text += rule;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (separate_rows_ && i != 0) text += '\n';
    append_row(text, rows_[i], widths);
  }
  text += rule;
  for (const auto& line : footer_) text += line + "\n";
  return text;
}

}  // namespace recoup::cli
