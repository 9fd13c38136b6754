// Finding restic repositories in a bucket, before somebody removes them by a flag or a rule.
#pragma once

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/id.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/s3/bucket/lifecycle.hpp>
#include <recoup/s3/client.hpp>
#include <recoup/s3/object.hpp>

namespace recoup {

/// Shown every key of a bucket, it tells where repositories are: where a `config` lies beside a `keys/<id>`.
class repository_detector {
public:
  void see(std::string_view key) {
    if (key == "config" || key.ends_with("/config")) {
      configs_.emplace(key.substr(0, key.size() - 6));
      return;
    }
    constexpr std::string_view directory = "keys/";
    const auto name = key.rfind('/') + 1;  // npos + 1 is 0
    if (name < directory.size() || key.size() - name != id::hex_size || !id::parse(key.substr(name))) return;
    const auto start = name - directory.size();
    if (key.substr(start, directory.size()) != directory || (start != 0 && key[start - 1] != '/')) return;
    keys_.emplace(key.substr(0, start));
  }

  /// What their keys begin with: "" or "restic/", in order.
  [[nodiscard]] std::vector<std::string> repositories() const {
    std::vector<std::string> found;
    std::ranges::set_intersection(configs_, keys_, std::back_inserter(found));
    return found;
  }

private:
  std::set<std::string> configs_, keys_;
};

struct found_repositories {
  std::vector<std::string> prefixes{};  ///< "" or "restic/"
  bool is_complete = true;              ///< false: the bucket has too many directories to look into all of them
};

/// Looks for repositories below a prefix ("" or with a slash at its end), level by level, not into repositories.
[[nodiscard]] inline found_repositories find_repositories(s3_client& client, const std::string& bucket,
                                                          const std::string& prefix = {}) {
  constexpr std::size_t most_listings = 2000;
  found_repositories found;
  std::vector<std::string> level{prefix};
  for (std::size_t listings = 0; !level.empty(); listings += level.size()) {
    if (listings + level.size() > most_listings) {
      found.is_complete = false;
      level.resize(most_listings - std::min(listings, most_listings));
    }
    std::vector<std::string> below;
    std::mutex mutex;
    parallel_for_each(
        client.connections(), level,
        [&](const std::string& directory) {
          bool has_config = false, has_keys = false;
          std::vector<std::string> next;
          list_options options;
          options.prefix = directory;
          options.delimiter = "/";
          options.use_version_1 = client.settings().list_objects_v1;
          list_objects(
              client, bucket, options,
              [&](const listed_object& object) { has_config = has_config || object.key == directory + "config"; },
              [&](const std::string& each) {
                has_keys = has_keys || each == directory + "keys/";
                next.push_back(each);
              });
          const std::lock_guard lock(mutex);
          if (has_config && has_keys)
            found.prefixes.push_back(directory);
          else
            below.insert(below.end(), next.begin(), next.end());
        },
        client.stop());
    if (!found.is_complete) break;
    level = std::move(below);
  }
  std::ranges::sort(found.prefixes);
  return found;
}

enum class lifecycle_danger { none, expires, archives };

/// What a rule would do to the repository whose keys begin with `repository`. Objects of repositories have no tags, and
/// expired locks are no loss.
[[nodiscard]] inline lifecycle_danger danger_of(const lifecycle_rule& rule, std::string_view repository) {
  const auto& prefix = rule.filter.prefix;
  const bool meets = std::string_view(prefix).starts_with(repository) || repository.starts_with(prefix);
  if (!rule.is_enabled || !meets || !rule.filter.tags.empty()) return lifecycle_danger::none;
  if (prefix.starts_with(std::string(repository) + "locks/")) return lifecycle_danger::none;
  if (rule.expires_current_objects()) return lifecycle_danger::expires;
  // MinIO's tiers and AWS's cold classes that answer at once are read as before; these are not.
  const auto is_archive = [](const lifecycle_transition& each) {
    return each.storage_class == "GLACIER" || each.storage_class == "DEEP_ARCHIVE";
  };
  return std::ranges::any_of(rule.transitions, is_archive) ? lifecycle_danger::archives : lifecycle_danger::none;
}

}  // namespace recoup
