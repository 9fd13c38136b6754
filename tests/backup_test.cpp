// Backups of small trees: what is stored, what is read again, and what is left out.
#include <recoup/ops/backup.hpp>
#include <recoup/ops/check.hpp>
#include <recoup/storage/fault.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include "test_data.hpp"
#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;

std::string random_text(std::size_t length, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(length, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

/// The paths that were opened and read.
class reading_backup : public recording_backup {
public:
  void on_file_started(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    read.insert(fs::path(path).filename());
    if (on_read) on_read();
  }
  std::set<std::string> read;
  std::function<void()> on_read;

private:
  std::mutex mutex_;
};

class backup_test : public testing::Test {
protected:
  backup_test() : storage_(std::make_shared<memory_backend>()), repo_(make_repository(storage_)) {
    fs::create_directory(source_ / "s");
    // Relative to it, because the directories above are shared with other processes, whose doings would show in the
    // tree.
    fs::current_path(source_.path());
  }
  ~backup_test() override { fs::current_path("/"); }

  [[nodiscard]] std::string source() const { return fs::canonical(source_.path() / "s").string(); }
  std::string write(const std::string& name, std::string_view content) const {
    return source_.write("s/" + name, content);
  }

  /// With the newest snapshot as parent; what was reported is in `observed_`.
  backup_result run(std::function<void(backup_options&)> change = {}) {
    auto options = options_for({"s"});
    repo_->load_index();
    options.parent = find_parent(*repo_, options);
    if (change) change(options);
    observed_ = std::make_unique<reading_backup>();
    observed_->on_read = on_read_;
    return backup(*repo_, options, *observed_);
  }

  [[nodiscard]] std::map<std::string, std::string> stored(const backup_result& made, const std::string& folder = "s") {
    return all_of(*repo_, find_subtree(*repo_, made.snapshot.tree, folder));
  }

  [[nodiscard]] node stored_node(const backup_result& made, const std::string& name) {
    const auto path = "/s/" + name;
    const auto parent = find_subtree(*repo_, made.snapshot.tree, fs::path(path).parent_path().string());
    for (const auto& each : decode_tree(repo_->load_blob(blob_type::tree, parent)))
      if (each.name == fs::path(path).filename()) return each;
    throw std::runtime_error("not in the snapshot: " + path);
  }

  /// Goes on with a fresh repository object, as the next run of the command would.
  void reopen() { repo_ = open_repository(storage_); }

  unique_directory source_;
  std::shared_ptr<memory_backend> storage_;
  std::shared_ptr<repository> repo_;
  std::unique_ptr<reading_backup> observed_;
  std::function<void()> on_read_;
};

using names = std::set<std::string>;
using contents = std::map<std::string, std::string>;

TEST_F(backup_test, stores_every_kind_of_entry) {
  write("a", "content");
  write("dir/b", "");
  write(std::string("odd \"n\xff\n"), "x");
  fs::create_directory(source() + "/empty");
  fs::create_symlink("nowhere/at all", source() + "/link");
  ASSERT_EQ(::mkfifo((source() + "/fifo").c_str(), 0600), 0);
  const auto made = run();
  EXPECT_EQ(made.errors, 0u);
  EXPECT_EQ(stored(made), (contents{{"/a", "content"},
                                    {"/dir", "dir"},
                                    {"/dir/b", ""},
                                    {"/empty", "dir"},
                                    {"/fifo", "fifo"},
                                    {"/link", "-> nowhere/at all"},
                                    {"/odd \"n\xff\n", "x"}}));
  EXPECT_EQ(made.snapshot.paths, std::vector{source()});
  EXPECT_EQ(made.snapshot.hostname, "test");
  EXPECT_EQ(made.summary.files_new, 3u);
  EXPECT_EQ(made.summary.total_files_processed, 3u);
  EXPECT_EQ(made.summary.total_bytes_processed, 8u);
  EXPECT_EQ(made.summary.data_blobs, 2u);
  EXPECT_EQ(repo_->load_snapshot(*made.snapshot_id), made.snapshot);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_test, sockets_are_left_out) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = source() + "/s";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  write("a", "1");
  const auto made = run();
  EXPECT_EQ(made.errors, 0u);
  EXPECT_EQ(stored(made), (contents{{"/a", "1"}}));
}

TEST_F(backup_test, hard_links_are_two_nodes_with_one_content) {
  const auto first = write("a", "linked");
  fs::create_hard_link(first, source() + "/b");
  const auto made = run();
  const auto a = stored_node(made, "a"), b = stored_node(made, "b");
  EXPECT_EQ(a.links, 2u);
  EXPECT_EQ(a.inode, b.inode);
  EXPECT_EQ(a.content, b.content);
  EXPECT_EQ(made.summary.data_blobs, 1u);
}

TEST_F(backup_test, a_large_file_is_cut_where_the_chunker_cuts) {
  const auto content = random_text((24u << 20) + 12345, 1);
  write("big", content);
  const auto made = run();
  const auto node = stored_node(made, "big");
  EXPECT_EQ(node.size, content.size());
  const auto lengths = chunker(repo_->config().chunker_polynomial).chunk_lengths(as_bytes(content));
  ASSERT_EQ(node.content->size(), lengths.size());
  std::size_t start = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    EXPECT_EQ((*node.content)[i], sha256(as_bytes(content).subspan(start, lengths[i])));
    start += lengths[i];
  }
  EXPECT_EQ(load_content(*repo_, node), content);
  EXPECT_EQ(made.stats.data_size, content.size());
}

TEST_F(backup_test, sizes_around_the_smallest_and_the_largest_chunk) {
  contents expected;
  for (const std::size_t size :
       {min_chunk - 1, min_chunk, min_chunk + 1, 2 * min_chunk, max_chunk - 1, max_chunk, max_chunk + 1}) {
    const auto name = "z" + std::to_string(size);
    write(name, std::string(size, '\0'));  // zeros never make a cut before the largest size
    expected.emplace("/" + name, std::string(size, '\0'));
  }
  EXPECT_EQ(stored(run()), expected);
}

TEST_F(backup_test, many_entries_and_many_levels) {
  for (int i = 0; i < 10'000; ++i) write("wide/" + std::to_string(i), i % 3 == 0 ? std::to_string(i) : "");
  std::string deep = "deep";
  for (int i = 0; i < 500; ++i) deep += "/d";
  write(deep + "/bottom", "here");
  const auto made = run();
  EXPECT_EQ(made.errors, 0u);
  const auto all = stored(made);
  EXPECT_EQ(all.size(), 1 + 10'000 + 1 + 500 + 1u);
  EXPECT_EQ(all.at("/" + deep + "/bottom"), "here");
  EXPECT_EQ(all.at("/wide/9999"), "9999");
  EXPECT_EQ(run().snapshot.tree, made.snapshot.tree);
  EXPECT_TRUE(observed_->read.empty());
}

TEST_F(backup_test, paths_longer_than_the_kernel_takes_at_once) {
  const std::string name(250, 'd');
  constexpr int depth = 40;  // 10,000 bytes
  auto directory = open_directory(AT_FDCWD, "s");
  for (int i = 0; i < depth; ++i) {
    ASSERT_EQ(::mkdirat(directory.get(), name.c_str(), 0755), 0);
    directory = open_directory(directory.get(), name.c_str());
  }
  const file_descriptor leaf{::openat(directory.get(), "leaf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};
  ASSERT_EQ(::write(leaf.get(), "far", 3), 3);
  ASSERT_EQ(::symlinkat("leaf", directory.get(), "link"), 0);

  const auto made = run();
  EXPECT_EQ(made.errors, 0u);
  const auto found = stored(made);
  EXPECT_EQ(found.size(), depth + 2u);
  std::string path;
  for (int i = 0; i < depth; ++i) path += "/" + name;
  EXPECT_EQ(found.at(path + "/leaf"), "far");
  EXPECT_EQ(found.at(path + "/link"), "-> leaf");
}

// --- what is read again ---

TEST_F(backup_test, nothing_changed_means_that_nothing_is_read) {
  write("a", "1");
  write("dir/b", "2");
  const auto first = run();
  const auto second = run();
  EXPECT_EQ(observed_->read, names{});
  EXPECT_EQ(second.snapshot.tree, first.snapshot.tree);
  EXPECT_EQ(second.snapshot.parent, first.snapshot_id);
  EXPECT_NE(second.snapshot_id, first.snapshot_id);
  EXPECT_EQ(second.summary.files_unmodified, 2u);
  EXPECT_EQ(second.summary.data_added, 0u);
  EXPECT_EQ(observed_->items.at("/s/a").change, item_change::unchanged);
}

TEST_F(backup_test, without_a_parent_all_is_read_and_nothing_stored) {
  write("a", "1");
  const auto first = run();
  const auto second = run([](backup_options& options) { options.parent.reset(); });
  EXPECT_EQ(observed_->read, names{"a"});
  EXPECT_EQ(second.snapshot.tree, first.snapshot.tree);
  EXPECT_EQ(second.stats.data_blobs + second.stats.tree_blobs, 0u);
}

TEST_F(backup_test, another_size_time_or_inode_means_reading_again) {
  const auto stamp = [](const std::string& path, long nanoseconds) {
    const timespec times[2] = {{1000, 0}, {1000, nanoseconds}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  };
  for (const auto* name : {"longer", "touched", "changed", "replaced", "same"}) {
    write(name, "12345");
    stamp(source() + "/" + name, 5);
  }
  (void)run();
  write("longer", "123456");
  stamp(source() + "/longer", 5);
  stamp(source() + "/touched", 6);
  ASSERT_EQ(::chmod((source() + "/changed").c_str(), 0600), 0);  // only the ctime
  write("new", "54321");
  stamp(source() + "/new", 5);
  fs::rename(source() + "/new", source() + "/replaced");

  const auto base = storage_->copy();
  const auto all = run();
  EXPECT_EQ(observed_->read, (names{"longer", "touched", "changed", "replaced"}));
  EXPECT_EQ(stored(all).at("/replaced"), "54321");
  EXPECT_EQ(observed_->items.at("/s/touched").change, item_change::modified);
  EXPECT_EQ(all.summary.files_changed, 4u);

  storage_ = base->copy();
  reopen();
  (void)run([](backup_options& options) { options.ignore_ctime = true; });
  EXPECT_EQ(observed_->read, (names{"longer", "touched", "replaced"}));

  storage_ = base->copy();
  reopen();
  const auto blind = run([](backup_options& options) { options.ignore_inode = true; });
  EXPECT_EQ(observed_->read, (names{"longer", "touched"}));
  EXPECT_EQ(stored_node(blind, "changed").mode & go_mode::permissions, 0600u);  // metadata is always new
}

TEST_F(backup_test, a_file_whose_blobs_are_lost_is_stored_again) {
  write("a", "kept nowhere");
  (void)run();
  // An index that knows the trees only, as after `repair index` when a data pack is gone.
  std::vector<indexed_pack> kept;
  for (const auto& file : repo_->list(file_type::index)) {
    decode_index(repo_->load_unpacked(file_type::index, file.name), [&](const indexed_pack& pack) {
      if (pack.blobs.front().handle.type == blob_type::tree)
        kept.push_back(pack);
      else
        repo_->remove(file_type::pack, pack.pack);
    });
    repo_->remove(file_type::index, file.name);
  }
  repo_->save_unpacked(file_type::index, encode_index(kept));
  reopen();
  EXPECT_FALSE(damage_in(storage_).empty());
  const auto made = run();
  EXPECT_EQ(observed_->read, names{"a"});
  ASSERT_EQ(observed_->errors.size(), 1u);
  EXPECT_NE(observed_->errors[0].second.find("stored again"), std::string::npos);
  EXPECT_EQ(stored(made).at("/a"), "kept nowhere");
  EXPECT_TRUE(damage_in(storage_).empty());  // the older snapshot is whole again too
}

TEST_F(backup_test, skipped_if_unchanged) {
  write("a", "1");
  const auto skip = [](backup_options& options) { options.skip_if_unchanged = true; };
  EXPECT_TRUE(run(skip).snapshot_id);
  EXPECT_FALSE(run(skip).snapshot_id);
  EXPECT_EQ(repo_->list(file_type::snapshot).size(), 1u);
  write("b", "2");
  EXPECT_TRUE(run(skip).snapshot_id);
}

// --- what cannot be read ---

TEST_F(backup_test, a_file_that_vanishes_is_an_error_and_the_rest_is_stored) {
  write("a", "1");
  write("gone", "2");
  write("z", "3");
  const auto made = run([](backup_options& options) {
    // Asked after the entry was looked at and before it is opened.
    options.excludes_entry = [](const std::string& path, const struct stat&) {
      if (path.ends_with("/gone")) fs::remove(path);
      return false;
    };
  });
  EXPECT_EQ(made.errors, 1u);
  ASSERT_EQ(observed_->errors.size(), 1u);
  EXPECT_EQ(observed_->errors[0].first, source() + "/gone");
  ASSERT_TRUE(made.snapshot_id);
  EXPECT_EQ(stored(made), (contents{{"/a", "1"}, {"/z", "3"}}));
}

TEST_F(backup_test, a_file_that_becomes_a_symlink_is_not_followed) {
  const auto secret = source_.write("outside", "secret");
  write("a", "1");
  const auto made = run([&](backup_options& options) {
    options.excludes_entry = [&](const std::string& path, const struct stat&) {
      if (path.ends_with("/a")) fs::remove(path), fs::create_symlink(secret, path);
      return false;
    };
  });
  EXPECT_EQ(made.errors, 1u);
  EXPECT_EQ(stored(made), contents{});
}

TEST_F(backup_test, a_directory_that_vanishes_is_an_error) {
  write("dir/a", "1");
  write("z", "3");
  const auto made = run([](backup_options& options) {
    options.excludes_entry = [](const std::string& path, const struct stat&) {
      if (path.ends_with("/dir")) fs::remove_all(path);
      return false;
    };
  });
  EXPECT_EQ(made.errors, 1u);
  EXPECT_EQ(stored(made), (contents{{"/z", "3"}}));
}

TEST_F(backup_test, a_file_that_cannot_be_read_is_left_out) {
  recording_backup observer;
  write("a", "1");
  auto options = options_for({"/proc/self/mem", "s"});  // opens, and fails on the first read
  const auto made = backup(*repo_, options, observer);
  EXPECT_EQ(made.errors, 1u);
  ASSERT_EQ(observer.errors.size(), 1u);
  EXPECT_EQ(observer.errors[0].first, "/proc/self/mem");
  EXPECT_EQ(stored(made), (contents{{"/a", "1"}}));
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_test, missing_targets) {
  write("a", "1");
  recording_backup observer;
  const auto made = backup(*repo_, options_for({source(), source() + "-not"}), observer);
  EXPECT_EQ(made.errors, 1u);
  EXPECT_EQ(made.snapshot.paths, std::vector{source()});
  EXPECT_EQ(stored(made, source()), (contents{{"/a", "1"}}));
  expect_error(error_code::not_found, "do not exist",
               [&] { (void)backup(*repo_, options_for({source() + "-not"}), observer); });
  expect_error(error_code::invalid_argument, "nothing to backup",
               [&] { (void)backup(*repo_, options_for({}), observer); });
  EXPECT_EQ(repo_->list(file_type::snapshot).size(), 1u);
}

// --- excludes ---

TEST_F(backup_test, excluded_by_path_and_by_status) {
  write("a.tmp", "1");
  write("keep", "2");
  write("dir.tmp/x", "3");
  write("large", std::string(5000, 'l'));
  const auto made = run([](backup_options& options) {
    options.excludes_path = [](const std::string& path) { return path.ends_with(".tmp"); };
    options.excludes_entry = [](const std::string&, const struct stat& status) {
      return status.st_size > 4096 && S_ISREG(status.st_mode);
    };
    options.excludes = {"*.tmp"};
  });
  EXPECT_EQ(stored(made), (contents{{"/keep", "2"}}));
  auto excluded = observed_->excluded;
  std::ranges::sort(excluded);
  EXPECT_EQ(excluded, (std::vector{source() + "/a.tmp", source() + "/dir.tmp", source() + "/large"}));
  EXPECT_EQ(made.snapshot.excludes, std::vector<std::string>{"*.tmp"});
}

TEST_F(backup_test, targets_named_explicitly_are_never_excluded) {
  const auto path = write("a.tmp", "1");
  recording_backup observer;
  auto options = options_for({path});
  options.excludes_path = [](const std::string&) { return true; };
  const auto made = backup(*repo_, options, observer);
  EXPECT_EQ(stored(made, source()), (contents{{"/a.tmp", "1"}}));
}

// --- streams ---

backup_stream stream_of(const std::string& content, std::size_t step = 1000) {
  auto at = std::make_shared<std::size_t>(0);
  return {"/db/dump.sql", [content, at, step](byte_span into) {
            const auto count = std::min({into.size(), content.size() - *at, step});
            std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(*at), count, into.begin());
            *at += count;
            return count;
          }};
}

TEST_F(backup_test, a_stream_becomes_a_file) {
  recording_backup observer;
  const auto content = random_text(3'000'000, 7);
  const auto options = options_for({});
  const auto made = backup(*repo_, options, stream_of(content), observer);
  EXPECT_EQ(made.errors, 0u);
  EXPECT_EQ(all_of(*repo_, made.snapshot.tree), (contents{{"/db", "dir"}, {"/db/dump.sql", content}}));
  EXPECT_EQ(made.snapshot.paths, std::vector<std::string>{"/db/dump.sql"});
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_test, a_stream_that_fails_leaves_no_snapshot) {
  recording_backup observer;
  const backup_stream broken{"/x", [sent = false](byte_span into) mutable -> std::size_t {
                               if (sent) throw error(error_code::failure, "the program failed");
                               sent = true;
                               std::ranges::fill(into, std::uint8_t{1});
                               return into.size();
                             }};
  expect_error(error_code::failure, "the program failed",
               [&] { (void)backup(*repo_, options_for({}), broken, observer); });
  EXPECT_TRUE(repo_->list(file_type::snapshot).empty());
  EXPECT_TRUE(damage_in(storage_).empty());
}

// --- at once, and stopped ---

TEST_F(backup_test, two_backups_at_the_same_time) {
  for (int i = 0; i < 200; ++i) write("f" + std::to_string(i), random_text(2000, static_cast<unsigned>(i)));
  std::vector<std::thread> threads;
  std::array<std::optional<backup_result>, 2> made;
  for (auto& result : made)
    threads.emplace_back([&] {
      const auto own = open_repository(storage_);
      result = back_up(*own, options_for({"s"}));
    });
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(made[0] && made[1]);
  EXPECT_EQ(made[0]->snapshot.tree, made[1]->snapshot.tree);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_test, an_interrupted_backup_keeps_what_it_stored) {
  for (int i = 0; i < 100; ++i) write("f" + std::to_string(i), random_text(3000, static_cast<unsigned>(i)));
  std::stop_source stop;
  std::atomic<int> started{0};
  on_read_ = [&] {
    if (++started == 50) stop.request_stop();
  };
  expect_error(error_code::interrupted, "interrupted",
               [&] { (void)run([&](backup_options& options) { options.stop = stop.get_token(); }); });
  EXPECT_TRUE(repo_->list(file_type::snapshot).empty());
  EXPECT_TRUE(damage_in(storage_).empty());
  on_read_ = {};
  reopen();
  EXPECT_GE(repo_->index().size(), 40u);
  const auto made = run();
  EXPECT_LE(made.summary.data_blobs, 60u);
  EXPECT_EQ(stored(made).size(), 100u);
}

}  // namespace
}  // namespace recoup
