// Repositories that other programs wrote, opened and read to the last blob through the engine.
#include <recoup/ops/backup.hpp>
#include <recoup/ops/check.hpp>
#include <recoup/storage/local.hpp>

#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

/// Feeds `tar` with a decompressed archive: not every system's tar knows zstd.
void untar_zstd(const fs::path& archive, const std::string& command) {
  const auto compressed = read_file(archive);
  FILE* tar = ::popen(command.c_str(), "w");
  if (tar == nullptr) throw std::runtime_error("cannot run " + command);
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
  std::string buffer(ZSTD_DStreamOutSize(), '\0');
  while (in.pos < in.size) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)) != 0) break;
    std::fwrite(buffer.data(), 1, out.pos, tar);
  }
  ZSTD_freeDStream(stream);
  if (::pclose(tar) != 0 || in.pos != in.size) throw std::runtime_error("cannot unpack " + archive.string());
}

class unpacked_fixture {
public:
  explicit unpacked_fixture(const fs::path& archive) {
    const auto into = " -C '" + directory_.path().string() + "'";
    if (archive.extension() == ".zst") {
      untar_zstd(archive, "tar -xf -" + into);
    } else if (std::system(("tar -xzf '" + archive.string() + "'" + into).c_str()) != 0) {
      throw std::runtime_error("cannot unpack " + archive.string());
    }
  }
  [[nodiscard]] const fs::path& path() const noexcept { return directory_.path(); }

private:
  unique_directory directory_;
};

std::shared_ptr<repository> open_at(const fs::path& path, const char* password) {
  auto repo = repository::open(std::make_shared<local_backend>(path), password);
  repo->load_index();
  return repo;
}

std::vector<found_snapshot> snapshots_of(repository& repo) {
  std::vector<found_snapshot> all;
  for (auto& [name, value] : repo.load_snapshots()) all.push_back({name, std::move(value), {}});
  return all;
}

struct read_result {
  std::size_t trees = 0, files = 0;
  std::set<std::string> unreadable;  ///< paths
};

/// Loads every blob of every file of all snapshots.
read_result read_everything(repository& repo, bool same_bytes) {
  read_result result;
  std::set<id> trees;
  for (const auto& each : snapshots_of(repo)) {
    trees.insert(each.snapshot.tree);
    tree_walk_options options;
    options.on_error = [&](const std::string& path, const id&, const error&) { result.unreadable.insert(path); };
    tree_walk walk(repo, each.snapshot.tree, options);
    while (const auto* at = walk.next()) {
      if (at->node.subtree) trees.insert(*at->node.subtree);
      if (at->node.type != node_type::file) continue;
      ++result.files;
      try {
        EXPECT_EQ(load_content(repo, at->node).size(), at->node.size) << at->path;
      } catch (const error&) {
        result.unreadable.insert(at->path);
      }
    }
  }
  for (const auto& tree : trees) {
    try {
      EXPECT_EQ(encodes_the_same(repo.load_blob(blob_type::tree, tree)), same_bytes) << tree.hex();
    } catch (const error&) {
      continue;
    }
    ++result.trees;
  }
  return result;
}

struct fixture {
  const char* archive;
  const char* password;
  bool by_restic = true;        ///< and so with trees that are the same when encoded again
  const char* error = nullptr;  ///< what check must say; nothing if it is whole
  bool all_readable = true;
};

std::ostream& operator<<(std::ostream& to, const fixture& of) { return to << of.archive; }

class fixture_repository : public needs_fixtures<testing::TestWithParam<fixture>> {};

TEST_P(fixture_repository, every_tree_and_file_is_read_and_check_says_what_is_wrong) {
  const auto& of = GetParam();
  const unpacked_fixture place(fixtures() / of.archive);
  const auto storage = std::make_shared<local_backend>(place.path() / "repo");
  const auto repo = repository::open(storage, of.password);
  recording_check report;
  check_options options;
  options.read_data = all_packs{};
  const auto result = check(*repo, options, report);
  if (of.error == nullptr) {
    EXPECT_TRUE(result.clean()) << report.errors.front();
  } else {
    const auto named = [&](const std::string& text) { return text.find(of.error) != text.npos; };
    EXPECT_FALSE(result.clean());
    EXPECT_TRUE(std::ranges::any_of(report.errors, named)) << testing::PrintToString(report.errors);
  }

  EXPECT_FALSE(snapshots_of(*repo).empty());
  const auto read = read_everything(*repo, of.by_restic);
  EXPECT_GT(read.trees, 0u);
  EXPECT_EQ(read.unreadable.empty(), of.all_readable) << (read.unreadable.empty() ? "" : *read.unreadable.begin());
}

INSTANTIATE_TEST_SUITE_P(
    all, fixture_repository,
    testing::Values(fixture{"restic/repo-data-missing.tar.gz", "geheim", true, "does not exist", false},
                    fixture{"restic/repo-duplicates.tar.gz", "geheim"},
                    fixture{"restic/repo-index-missing.tar.gz", "geheim", true, "no index lists it", false},
                    fixture{"restic/repo-restore-permissions-test.tar.gz", "geheim"},
                    fixture{"restic/repo-unreferenced-data.tar.gz", "geheim"},
                    fixture{"restic/small-repo.tar.gz", "geheim"}, fixture{"rustic/restic-repo.tar.gz", "restic"},
                    fixture{"rustic/rustic-repo.tar.gz", "rustic", false}));

// --- the tree that restic's own tests back up ---

class backup_data : public needs_fixtures<testing::TestWithParam<unsigned>> {};

TEST_P(backup_data, comes_back_as_it_was) {
  const unpacked_fixture source(fixtures() / "restic/backup-data.tar.gz");
  const auto storage = std::make_shared<memory_backend>();
  const auto repo = make_repository(storage, GetParam());
  fs::current_path(source.path());
  const auto made = back_up(*repo, options_for({"."}));
  ASSERT_TRUE(made.snapshot_id);
  EXPECT_TRUE(damage_in(storage).empty());

  const auto reopened = open_repository(storage);
  const auto stored = all_of(*reopened, made.snapshot.tree);
  std::size_t entries = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source.path())) {
    ++entries;
    const auto path = "/" + fs::relative(entry.path(), source.path()).string();
    ASSERT_TRUE(stored.contains(path)) << path;
    if (entry.is_symlink()) continue;
    if (entry.is_regular_file()) {
      EXPECT_EQ(stored.at(path), read_file(entry.path())) << path;
    }
  }
  EXPECT_EQ(stored.size(), entries);

  const auto again = back_up(*reopened, options_for({"."}));
  fs::current_path("/");
  EXPECT_EQ(again.snapshot.tree, made.snapshot.tree);
  EXPECT_EQ(again.stats.data_blobs + again.stats.tree_blobs, 0u);
  EXPECT_EQ(again.summary.files_unmodified, made.summary.files_new);
}

INSTANTIATE_TEST_SUITE_P(versions, backup_data, testing::Values(1u, 2u));

// --- buckets that Velero wrote ---

/// One entry of the listing that was made of the live volume.
struct live_entry {
  std::string type, content_hash, target;
  std::uint32_t mode = 0, uid = 0, gid = 0;
  std::uint64_t size = 0;
  std::optional<std::int64_t> mtime;  ///< nanoseconds
};
using live_listing = std::map<std::string, live_entry>;

live_listing read_listing(json_value& value) {
  live_listing listing;
  for_each_element(value, [&](json_value& element) {
    live_entry entry;
    std::string path, mode;
    std::optional<std::string> raw_path;
    for_each_field(object_of(element), [&](std::string_view key, json_value& field) {
      if (key == "path") return read(field, path);
      if (key == "path_b64") {
        bytes raw;
        read(field, raw);
        raw_path.emplace(as_text(raw));
      }
      if (key == "type") return read(field, entry.type);
      if (key == "mode") return read(field, mode);
      if (key == "uid") return read(field, entry.uid);
      if (key == "gid") return read(field, entry.gid);
      if (key == "size") return read(field, entry.size);
      if (key == "sha256") return read(field, entry.content_hash);
      if (key == "target") return read(field, entry.target);
      if (key == "mtime_ns") entry.mtime.emplace(std::int64_t{field.get_int64()});
    });
    if (!mode.empty()) entry.mode = static_cast<std::uint32_t>(std::stoul(mode.substr(2), nullptr, 8));
    listing.emplace("/" + raw_path.value_or(path), entry);
  });
  return listing;
}

struct velero_volume {
  std::string repo_path, snapshot_prefix, listing;
};

struct velero_bucket {
  std::string password;
  std::vector<velero_volume> volumes;
  std::map<std::string, live_listing> listings;
};

void read_volumes(json_value& backups, std::vector<velero_volume>& into) {
  for_each_element(backups, [&](json_value& backup) {
    for_each_field(object_of(backup), [&](std::string_view key, json_value& volumes) {
      if (key != "volumes") return;
      for_each_element(volumes, [&](json_value& element) {
        velero_volume volume;
        for_each_field(object_of(element), [&](std::string_view name, json_value& field) {
          if (name == "repo_path") return read(field, volume.repo_path);
          if (name == "snapshot_id") return read(field, volume.snapshot_prefix);
          if (name == "file_list") return read(field, volume.listing);
        });
        if (!volume.snapshot_prefix.empty()) into.push_back(volume);
      });
    });
  });
}

velero_bucket read_expectations(const fs::path& path) {
  velero_bucket bucket;
  read_json(as_bytes(read_file(path)), "expectations", [&](json_object root) {
    for_each_field(root, [&](std::string_view key, json_value& value) {
      if (key == "repo_password") return read(value, bucket.password);
      if (key == "backups") return read_volumes(value, bucket.volumes);
      if (key == "file_lists")
        for_each_field(object_of(value), [&](std::string_view name, json_value& list) {
          bucket.listings.emplace(name, read_listing(list));
        });
    });
  });
  return bucket;
}

std::uint32_t unix_mode(std::uint32_t mode) {
  return (mode & go_mode::permissions) | ((mode & go_mode::setuid) != 0 ? 04000u : 0u) |
         ((mode & go_mode::setgid) != 0 ? 02000u : 0u) | ((mode & go_mode::sticky) != 0 ? 01000u : 0u);
}

void compare(repository& repo, const walked_node& stored, const live_entry& live) {
  SCOPED_TRACE(stored.path);
  const auto& of = stored.node;
  EXPECT_EQ(of.uid, live.uid);
  EXPECT_EQ(of.gid, live.gid);
  if (of.type != node_type::symlink) {
    EXPECT_EQ(unix_mode(of.mode), live.mode);
  }
  if (live.mtime) {
    EXPECT_EQ(of.mtime.seconds * 1'000'000'000 + of.mtime.nanoseconds, *live.mtime);
  }
  if (of.type == node_type::symlink) {
    EXPECT_EQ(of.link_target, live.target);
  }
  if (of.type == node_type::file) {
    EXPECT_EQ(of.size, live.size);
    EXPECT_EQ(sha256(as_bytes(load_content(repo, of))).hex(), live.content_hash);
  }
}

class velero_fixture : public needs_fixtures<testing::TestWithParam<const char*>> {};

TEST_P(velero_fixture, every_volume_of_every_backup_is_there) {
  const unpacked_fixture place(fixtures() / "velero" / (std::string(GetParam()) + ".tar.zst"));
  const auto bucket = read_expectations(fixtures() / "velero" / (std::string(GetParam()) + ".expected.json"));
  ASSERT_FALSE(bucket.volumes.empty());
  std::map<std::string, std::shared_ptr<repository>> opened;
  for (const auto& volume : bucket.volumes) {
    SCOPED_TRACE(volume.repo_path + "@" + volume.snapshot_prefix);
    auto& repo = opened[volume.repo_path];
    if (!repo) repo = open_at(place.path() / "velero-backups" / volume.repo_path, bucket.password.c_str());
    const auto found = find_snapshot(*repo, volume.snapshot_prefix);
    ASSERT_EQ(found.snapshot.paths.size(), 1u);
    // Velero ran restic in the volume's directory, so the tree's root is the volume's.
    auto expected = bucket.listings.at(volume.listing);
    expected.erase("/.");
    std::erase_if(expected, [](const auto& entry) { return entry.second.type == "socket"; });
    tree_walk walk(*repo, found.snapshot.tree);
    while (const auto* at = walk.next()) {
      const auto live = expected.find(at->path);
      if (live == expected.end()) {
        ADD_FAILURE() << at->path << " was not in the volume";
        continue;
      }
      compare(*repo, *at, live->second);
      expected.erase(live);
    }
    EXPECT_TRUE(expected.empty()) << expected.begin()->first << " is missing";
  }
}

INSTANTIATE_TEST_SUITE_P(all, velero_fixture,
                         testing::Values("velero-1.16.2-restic", "velero-1.16.2-restic-aftercrash"));

}  // namespace
}  // namespace recoup
