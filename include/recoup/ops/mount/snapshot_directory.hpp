// The directories above the snapshots in a mounted repository: which there are, what is in them, and where "latest" links to.
//
//   ids/<id>  snapshots/<time>  snapshots/latest -> <time>  hosts/<host>/<time>  tags/<tag>/<time>
//
// Made from templates, as restic makes them; nothing here knows of FUSE or of storage.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/mount/time_template.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

struct listed_snapshot {
  recoup::id id;
  recoup::snapshot snapshot;
};

struct snapshot_directory_templates {
  /// %i short id, %I long id, %u user, %h host, %t tags, %T time; %% and any other letter stand for themselves.
  std::vector<std::string> paths{"ids/%i", "snapshots/%T", "hosts/%h/%T", "tags/%t/%T"};
  std::string time = "2006-01-02T15:04:05Z07:00";  ///< see format_like_go
};

/// What a path template makes of a snapshot.
struct snapshot_paths {
  std::vector<std::string> paths;  ///< one for each tag if the template asks for tags; none if there are none
  std::string time_suffix;         ///< what follows each of them if the template ends with the time
};

/// A tag that cannot be a file name, made into one.
[[nodiscard]] inline std::string file_name_from_tag(std::string tag) {
  if (tag.empty() || tag == ".") return "_";
  if (tag == "..") return "__";
  for (auto& c : tag)
    if (c == '/') c = '_';
  return tag;
}

[[nodiscard]] inline snapshot_paths apply_path_template(std::string_view path, const std::string& shown_time,
                                                        const listed_snapshot& of) {
  snapshot_paths result{{""}, {}};
  const auto add = [&result](std::string_view text) {
    for (auto& each : result.paths) each += text;
  };
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      add(path.substr(i, 1));
      continue;
    }
    if (++i == path.size()) break;
    switch (path[i]) {
      case 'T':
        if (i + 1 == path.size())
          result.time_suffix = shown_time;
        else
          add(shown_time);
        break;
      case 't': {
        const auto& tags = of.snapshot.tags;
        if (tags.empty()) return {};
        if (tags.size() == 1) {  // as it is: a slash in it makes directories
          add(tags.front());
          break;
        }
        std::vector<std::string> multiplied;
        for (const auto& tag : tags)
          for (const auto& each : result.paths) multiplied.push_back(each + file_name_from_tag(tag));
        result.paths = std::move(multiplied);
        break;
      }
      case 'i': add(of.id.short_hex()); break;
      case 'I': add(of.id.hex()); break;
      case 'u': add(of.snapshot.username); break;
      case 'h': add(of.snapshot.hostname); break;
      default: add(path.substr(i, 1));
    }
  }
  return result;
}

/// The directories that a template has even without snapshots: those before the first part that differs by snapshot.
[[nodiscard]] inline std::string_view fixed_part_of_template(std::string_view path) {
  for (std::size_t at = path.find('%'); at != path.npos && at + 1 < path.size(); at = path.find('%', at + 2)) {
    if (std::string_view("iIuhtT").find(path[at + 1]) == std::string_view::npos) continue;
    const auto slash = path.substr(0, at).rfind('/');
    return slash == path.npos ? std::string_view() : path.substr(0, slash);
  }
  return {};
}

/// One snapshot as it appears, a link to one, or a directory above them. A template may make something both a snapshot and a
/// directory; the snapshot is what is seen then.
struct snapshot_directory_entry {
  std::string path;         ///< "" for the root, else "/hosts/h"
  std::string link_target;  ///< not empty: a symlink, and `snapshot` is what it leads to
  std::shared_ptr<const listed_snapshot> snapshot;
  std::map<std::string, snapshot_directory_entry*> names;  ///< what is in it

  [[nodiscard]] bool is_link() const noexcept { return !link_target.empty(); }
  [[nodiscard]] bool is_directory() const noexcept { return snapshot == nullptr; }
};

/// Never changes once it is made.
class snapshot_directory {
public:
  /// The kernel takes no longer name from a file system in user space.
  static constexpr std::size_t longest_name = 1024;
  /// Nor can anybody ask for a longer path. A host's name of a million slashes is not made into directories.
  static constexpr std::size_t longest_path = 4096;

  /// Snapshots in ascending order of time, then id.
  snapshot_directory(const snapshot_directory_templates& templates,
                     const std::vector<std::shared_ptr<const listed_snapshot>>& snapshots) {
    at("");
    for (const auto& path : templates.paths)
      if (const auto fixed = fixed_part_of_template(path); !fixed.empty()) at(clean_path("/" + std::string(fixed)));
    for (const auto& each : snapshots) {
      const auto shown_time = format_like_go(each->snapshot.time, templates.time);
      for (const auto& path : templates.paths) insert(each, apply_path_template(path, shown_time, *each));
    }
    numbers_.clear();
    for (auto& [path, entry] : entries_)
      std::erase_if(entry.names, [](const auto& each) { return !is_shown(each.first); });
  }
  snapshot_directory(const snapshot_directory&) = delete;
  snapshot_directory& operator=(const snapshot_directory&) = delete;

  [[nodiscard]] const snapshot_directory_entry& root() const { return entries_.at(""); }
  /// Null if there is no such path; "" is the root, others begin with a slash.
  [[nodiscard]] const snapshot_directory_entry* find(const std::string& path) const {
    const auto found = entries_.find(path);
    return found == entries_.end() ? nullptr : &found->second;
  }
  /// Names come from a repository, and so from anybody.
  [[nodiscard]] static bool is_shown(std::string_view name) noexcept {
    return is_safe_name(name) && name.size() <= longest_name;
  }

private:
  void insert(const std::shared_ptr<const listed_snapshot>& one, const snapshot_paths& made) {
    for (const auto& each : made.paths) {
      const auto path = each.empty() ? each : "/" + each;
      if (path.size() + made.time_suffix.size() > longest_path) continue;
      const auto suffix = unused(path, made.time_suffix);
      auto& place = at(clean(path + suffix));
      place.snapshot = one;
      place.link_target.clear();
      if (made.time_suffix.empty()) continue;
      auto& latest = at(clean(path + "/latest"));
      latest.snapshot = one;
      latest.link_target = suffix;
    }
  }

  /// clean_path makes everything absolute.
  [[nodiscard]] static std::string clean(const std::string& path) {
    return path.starts_with('/') ? clean_path(path) : path;
  }

  /// `name`, or if path + name is taken, name-1, name-2, …
  [[nodiscard]] std::string unused(const std::string& path, const std::string& name) {
    if (!entries_.contains(path + name)) return name;
    auto& number = numbers_[path + name];  // lower ones are taken: nothing ever goes
    for (;;) {
      auto numbered = name + "-" + std::to_string(++number);
      if (!entries_.contains(path + numbered)) return numbered;
    }
  }

  /// The entry of a path, made if need be together with the directories above it.
  snapshot_directory_entry& at(const std::string& path) {
    const auto [found, is_new] = entries_.try_emplace(path);
    auto& entry = found->second;  // stays where it is
    if (!is_new) return entry;
    entry.path = path;
    if (const auto slash = path.rfind('/'); slash != path.npos)
      at(path.substr(0, slash)).names[path.substr(slash + 1)] = &entry;
    return entry;
  }

  std::unordered_map<std::string, snapshot_directory_entry> entries_;
  std::unordered_map<std::string, unsigned> numbers_;
};

}  // namespace recoup
