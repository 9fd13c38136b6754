// What of a file, content apart, differs from what a snapshot says of it.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/apply_metadata.hpp>
#include <recoup/fs/extended_attributes.hpp>
#include <recoup/fs/metadata.hpp>
#include <recoup/ops/verify/live_options.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// Of one entry whose fstatat, without following symlinks, was `status`.
class live_properties {
public:
  live_properties(const node& recorded, int directory, const struct stat& status,
                  const std::function<bool(file_property)>& ignores)
      : recorded_(recorded), directory_(directory), status_(status), ignores_(ignores) {}

  /// Type, size, device. False if it is so different that there is no point in comparing more.
  [[nodiscard]] bool compare_kind(std::vector<property_difference>& found) const {
    const auto type = type_of(status_.st_mode);
    if (type != recorded_.type) {
      found.push_back({file_property::type, name_of(recorded_.type), name_of(type)});
      return false;
    }
    const auto size = static_cast<std::uint64_t>(status_.st_size);
    if (type == node_type::file && size != recorded_.size)
      found.push_back({file_property::size, std::to_string(recorded_.size), std::to_string(size)});
    if ((type == node_type::dev || type == node_type::chardev) && status_.st_rdev != recorded_.device)
      found.push_back({file_property::device, std::to_string(recorded_.device), std::to_string(status_.st_rdev)});
    return true;
  }

  /// Target of a symlink, mode, owner, time, attributes. Throws what the system says if one cannot be read.
  void compare_metadata(std::vector<property_difference>& found) const {
    if (recorded_.type == node_type::symlink) compare_target(found);
    // Symlinks have no mode.
    if (recorded_.type != node_type::symlink && heeds(file_property::mode)) compare_mode(found);
    if (heeds(file_property::owner)) compare_owner(found);
    if (heeds(file_property::mtime)) compare_mtime(found);
    if (heeds(file_property::xattrs)) compare_attributes(found);
  }

private:
  [[nodiscard]] bool heeds(file_property property) const { return !ignores_ || !ignores_(property); }

  void compare_target(std::vector<property_difference>& found) const {
    auto target = read_link(directory_, recorded_.name.c_str());
    if (!target) throw system_error(errno, "cannot read the symlink");
    if (*target != recorded_.link_target)
      found.push_back({file_property::target, recorded_.link_target, std::move(*target)});
  }

  void compare_mode(std::vector<property_difference>& found) const {
    constexpr mode_t all = 07777;
    const auto expected = permissions_of(recorded_), mode = status_.st_mode & all;
    if (mode != expected) found.push_back({file_property::mode, octal(expected), octal(mode)});
  }

  void compare_owner(std::vector<property_difference>& found) const {
    if (status_.st_uid == recorded_.uid && status_.st_gid == recorded_.gid) return;
    const auto text = [](auto uid, auto gid) { return std::to_string(uid) + ":" + std::to_string(gid); };
    found.push_back({file_property::owner, text(recorded_.uid, recorded_.gid), text(status_.st_uid, status_.st_gid)});
  }

  void compare_mtime(std::vector<property_difference>& found) const {
    const auto mtime = local_timestamp(status_.st_mtim);
    if (!same_instant(mtime, recorded_.mtime))
      found.push_back({file_property::mtime, to_rfc3339(recorded_.mtime), to_rfc3339(mtime)});
  }

  /// In any order; an attribute without a value is restored as an empty one.
  void compare_attributes(std::vector<property_difference>& found) const {
    std::map<std::string, bytes> expected, present;
    for (const auto& each : recorded_.extended_attributes)
      if (can_be_seen(each.name)) expected.emplace(each.name, each.value.value_or(bytes{}));
    const attribute_holder file(directory_, recorded_.name);
    const int refused = visit_attribute_names(file, [&](const char* name) {
      std::optional<bytes> value;
      if (const int reason = read_attribute(file, name, value); reason != 0)
        throw system_error(reason, "cannot read the extended attribute " + std::string(name));
      present.emplace(name, value.value_or(bytes{}));
    });
    if (refused != 0) throw system_error(refused, "cannot list the extended attributes");
    if (present != expected) found.push_back({file_property::xattrs, names_in(expected), names_in(present)});
  }

  /// The kernel shows these to root only.
  [[nodiscard]] static bool can_be_seen(std::string_view name) {
    static const bool is_root = ::geteuid() == 0;
    return is_root || !name.starts_with("trusted.");
  }

  [[nodiscard]] static std::string names_in(const std::map<std::string, bytes>& attributes) {
    std::string text;
    for (const auto& [name, value] : attributes) text += (text.empty() ? "" : ",") + name;
    return text;
  }

  [[nodiscard]] static std::string octal(mode_t mode) {
    std::string digits;
    for (int shift = 9; shift >= 0; shift -= 3) digits += static_cast<char>('0' + (mode >> shift & 7));
    return digits;
  }

  const node& recorded_;
  const int directory_;
  const struct stat& status_;
  const std::function<bool(file_property)>& ignores_;
};

}  // namespace recoup
