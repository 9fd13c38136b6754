// Time zones by name, from the files of the tz database (RFC 8536), independent of the process's own zone: $TZ belongs
// to all threads. <chrono>'s would need GCC 13.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/schedule/zone_rule.hpp>

namespace recoup {

namespace zone_files {

/// $TZDIR, as the C library has it, or where distributions put them.
[[nodiscard]] inline std::string directory() {
  const char* const set = std::getenv("TZDIR");
  return set != nullptr && *set != '\0' ? set : "/usr/share/zoneinfo";
}

/// What may stand in a zone's name, so that no other files are read: "America/Argentina/Buenos_Aires", "Etc/GMT+5".
[[nodiscard]] constexpr bool is_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 255 || name.front() == '/' || name.back() == '/') return false;
  if (name.find("//") != std::string_view::npos) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '+' || c == '/';
  });
}

[[nodiscard]] inline bool are_installed() {
  struct stat found {};
  return ::stat(directory().c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

/// Nothing if it cannot be read, is no file of this kind, or is unreasonably large (the largest have 4 KB).
[[nodiscard]] inline std::optional<std::string> read(const std::string& path) {
  constexpr std::size_t most = 1 << 20;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::nullopt;
  std::string content;
  std::array<char, 4096> part;
  ssize_t got = 0;
  while (content.size() < most && (got = ::read(file, part.data(), part.size())) > 0)
    content.append(part.data(), static_cast<std::size_t>(got));
  ::close(file);
  if (got != 0 || !content.starts_with("TZif")) return std::nullopt;
  return content;
}

}  // namespace zone_files

/// Immutable. Offsets are known from the zone's first entry to the end of the year 2200.
class time_zone {
public:
  /// UTC, which needs no files.
  time_zone() : name_("UTC") {}

  [[nodiscard]] static time_zone utc() { return {}; }

  /// "UTC" or a name of the tz database. Throws `invalid_argument` if there is no such zone, `not_found` if the machine
  /// has no zone files at all.
  [[nodiscard]] static time_zone named(std::string_view name) {
    if (name == "UTC") return {};
    const auto shown = '"' + go_quoted(name) + '"';
    if (zone_files::is_name(name)) {
      if (const auto content = zone_files::read(zone_files::directory() + '/' + std::string(name)))
        return time_zone(std::string(name), *content);
      if (!zone_files::are_installed())
        throw error(error_code::not_found, "time zone " + shown + ": this machine has no time zones (" +
                                               zone_files::directory() +
                                               " is missing); install the package tzdata, or use UTC");
    }
    throw error(error_code::invalid_argument, "time zone " + shown + ": there is none of this name in " +
                                                  zone_files::directory() +
                                                  "; write it as in \"Europe/Berlin\", with capitals, or UTC "
                                                  "(abbreviations such as CEST have no one meaning)");
  }

  /// The zone of this process, as the C library finds it: $TZ, a name, a path or a rule, or /etc/localtime; else UTC.
  [[nodiscard]] static time_zone local() {
    const char* const set = std::getenv("TZ");
    if (set == nullptr) {
      const std::string link = "/etc/localtime";
      const auto content = zone_files::read(link);
      return content ? time_zone(name_of_link(link), *content) : time_zone();
    }
    std::string name = *set == ':' ? set + 1 : set;
    if (name.empty()) return {};
    if (const auto content = zone_files::read(name.front() == '/' ? name : zone_files::directory() + '/' + name))
      return time_zone(std::move(name), *content);
    time_zone zone;
    if (const auto rule = zone_rule::parse(name)) {
      zone.name_ = std::move(name);
      zone.first_ = rule->standard();
      zone.go_on(*rule, 1970);
    }
    return zone;
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// What holds at an instant, in seconds since 1970.
  [[nodiscard]] zone_offset at(std::int64_t seconds) const noexcept {
    const auto after = std::ranges::upper_bound(transitions_, seconds, {}, &zone_transition::at);
    return after == transitions_.begin() ? first_ : std::prev(after)->offset;
  }

private:
  time_zone(std::string name, std::string_view content) : name_(std::move(name)) { read(content); }

  /// One of the two blocks of a file: numbers of entries, then the entries.
  struct block {
    std::size_t utc_marks, standard_marks, leap_seconds, transitions, kinds, characters;
    std::size_t time_size;

    [[nodiscard]] std::size_t size() const noexcept {
      return transitions * (time_size + 1) + kinds * 6 + characters + leap_seconds * (time_size + 4) + standard_marks +
             utc_marks;
    }
  };

  [[nodiscard]] static std::int64_t big_endian(std::string_view number) noexcept {
    auto value = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<signed char>(number.front())));
    for (const auto byte : number.substr(1)) value = value << 8 | static_cast<unsigned char>(byte);
    return static_cast<std::int64_t>(value);
  }

  [[noreturn]] void refuse(const char* why) const {
    throw error(error_code::damaged, "time zone \"" + go_quoted(name_) + "\": its file is " + why +
                                         "; reinstall the package tzdata, or use another zone");
  }

  static constexpr std::size_t header_size = 44;

  [[nodiscard]] block read_header(std::string_view content, std::size_t time_size) const {
    if (content.size() < header_size || !content.starts_with("TZif")) refuse("cut short");
    std::array<std::size_t, 6> counts{};
    for (std::size_t i = 0; i < counts.size(); ++i)
      counts[i] = static_cast<std::size_t>(big_endian(content.substr(20 + i * 4, 4)) & 0xffff'ffff);
    const block found{counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], time_size};
    // The file has less than 2^20 bytes, so sums of what was compared with it cannot overflow.
    for (const auto count : counts)
      if (count > content.size()) refuse("cut short");
    if (found.size() > content.size() - header_size) refuse("cut short");
    return found;
  }

  void read(std::string_view content) {
    const bool is_first_version = content.size() > 4 && content[4] == '\0';
    auto header = read_header(content, 4);
    if (!is_first_version) {
      content.remove_prefix(header_size + header.size());
      header = read_header(content, 8);
    }
    content.remove_prefix(header_size);
    if (header.kinds == 0) refuse("empty");
    if (header.leap_seconds != 0) refuse("one that counts leap seconds, which is not supported");
    read_transitions(content, header);
    content.remove_prefix(header.size());
    if (is_first_version || content.size() < 2 || content.front() != '\n') return;
    const auto end = content.find('\n', 1);
    if (const auto rule = zone_rule::parse(content.substr(1, end - 1))) go_on(*rule, year_of_last_transition());
  }

  void read_transitions(std::string_view content, const block& header) {
    const auto kinds_at = header.transitions * (header.time_size + 1);
    const auto kind = [&](std::size_t number) {
      if (number >= header.kinds) refuse("damaged");
      const auto entry = content.substr(kinds_at + number * 6, 6);
      return zone_offset{static_cast<std::int32_t>(big_endian(entry.substr(0, 4))), entry[4] != '\0'};
    };
    first_ = kind(0);
    transitions_.reserve(header.transitions);
    for (std::size_t i = 0; i < header.transitions; ++i) {
      const auto number = static_cast<unsigned char>(content[header.transitions * header.time_size + i]);
      const auto at = big_endian(content.substr(i * header.time_size, header.time_size));
      if (!transitions_.empty() && at <= transitions_.back().at) refuse("damaged");
      transitions_.push_back({at, kind(number)});
    }
  }

  [[nodiscard]] int year_of_last_transition() const noexcept {
    if (transitions_.empty()) return 1970;
    const auto day =
        std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(std::clamp<std::int64_t>(
            transitions_.back().at, civil_time::first_second_of_year_0, civil_time::last_second_of_year_9999))));
    return static_cast<int>(std::chrono::year_month_day(day).year());
  }

  void go_on(const zone_rule& rule, int from_year) {
    constexpr int to_year = 2200;
    if (!rule.has_summer_time()) return;
    for (int year = from_year; year <= to_year; ++year)
      for (const auto& each : rule.transitions_in(year))
        if (transitions_.empty() || each.at > transitions_.back().at) transitions_.push_back(each);
  }

  [[nodiscard]] static std::string name_of_link(const std::string& link) {
    std::array<char, PATH_MAX> target;
    const auto size = ::readlink(link.c_str(), target.data(), target.size());
    if (size <= 0) return link;
    const std::string_view path(target.data(), static_cast<std::size_t>(size));
    constexpr std::string_view before = "/zoneinfo/";
    const auto at = path.rfind(before);
    return at == std::string_view::npos ? link : std::string(path.substr(at + before.size()));
  }

  std::string name_;
  zone_offset first_;
  std::vector<zone_transition> transitions_;
};

}  // namespace recoup
