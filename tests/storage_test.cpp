// Storage in memory and in directories, and what locations mean.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/storage/gate.hpp>
#include <recoup/storage/local.hpp>
#include <recoup/storage/memory.hpp>
#include <recoup/storage/open_backend.hpp>

#include "file_rights.hpp"
#include "storage_conformance.hpp"
#include "unique_directory.hpp"

namespace recoup_test {
namespace {

namespace fs = std::filesystem;

storage_place in_memory() {
  const auto storage = std::make_shared<memory_backend>();
  return {storage, [storage] { return storage; }, nullptr};
}

storage_place in_directory() {
  const auto directory = std::make_shared<unique_directory>();
  const auto open = [path = directory->path() / "repository"] { return std::make_shared<local_backend>(path); };
  return {open(), open, directory};
}

storage_place behind_a_gate() {
  auto place = in_directory();
  const auto gate = std::make_shared<gated_backend>(place.storage);
  gate->hold([] {});
  place.storage = gate;
  return place;
}

INSTANTIATE_TEST_SUITE_P(backends, storage_conformance,
                         testing::Values(storage_under_test{"memory", in_memory},
                                         storage_under_test{"local", in_directory},
                                         storage_under_test{"gated", behind_a_gate}),
                         name_of_storage);

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

id id_starting(const std::string& digits) {
  return *id::parse(digits + std::string(id::hex_size - digits.size(), '0'));
}

class local_storage : public testing::Test {
protected:
  local_storage() : root_(directory_.path() / "repository"), storage_(root_) { storage_.create(); }

  /// A directory is a repository once it has a config.
  void save_config() { storage_.save({file_type::config, {}}, as_bytes("config")); }

  unique_directory directory_;
  fs::path root_;
  local_backend storage_;
};

TEST_F(local_storage, is_laid_out_as_restic_does) {
  EXPECT_EQ(names_in(root_), (std::vector<std::string>{"data", "index", "keys", "locks", "snapshots"}));
  EXPECT_EQ(mode_of(root_), 0700u);
  const auto packs = names_in(root_ / "data");
  ASSERT_EQ(packs.size(), 256u);
  EXPECT_EQ(packs.front(), "00");
  EXPECT_EQ(packs.back(), "ff");
  EXPECT_EQ(mode_of(root_ / "data" / "7f"), 0700u);

  const auto name = id_starting("abcdef");
  save_config();
  for (const auto type : listed_file_types) storage_.save({type, name}, as_bytes("content"));
  for (const auto* path : {"data/ab/", "index/", "keys/", "locks/", "snapshots/"}) {
    EXPECT_EQ(names_in(root_ / path), std::vector<std::string>{name.hex()}) << path;
    EXPECT_EQ(mode_of(root_ / path / name.hex()), 0400u) << path;
  }
  EXPECT_EQ(mode_of(root_ / "config"), 0400u);
}

TEST_F(local_storage, follows_the_group_permissions_of_the_config) {
  const auto old_mask = ::umask(0022);
  save_config();
  ::chmod((root_ / "config").c_str(), 0440);
  fs::remove(root_ / "data" / "ab");
  local_backend shared(root_);
  shared.save({file_type::pack, id_starting("ab")}, as_bytes("content"));
  ::umask(old_mask);
  EXPECT_EQ(mode_of(root_ / "data/ab"), 0750u);  // 0770 less the umask
  EXPECT_EQ(mode_of(root_ / "data/ab" / id_starting("ab").hex()), 0440u);
}

TEST_F(local_storage, lists_only_what_can_be_loaded) {
  const auto good = id_starting("ab12");
  storage_.save({file_type::pack, good}, as_bytes("good"));
  const auto hex = good.hex();
  const auto write = [&](const fs::path& path) { std::ofstream(root_ / path) << "foreign"; };
  write("data/ab/" + hex + "-tmp-123");                     // left behind by a killed save
  write("data/ab/" + std::string(64, 'A'));                 // ids have lowercase digits
  write("data/ab/" + hex.substr(1));                        // too short
  write("data/ab/.nfs0001");
  write("data/cd/" + id_starting("ab34").hex());            // in the wrong directory
  write("data/" + id_starting("ab56").hex());               // the flat layout of very old repositories
  fs::create_directory(root_ / "data/ab" / id_starting("ab78").hex());
  fs::create_symlink("/nonexistent/pack", root_ / "data/ab" / id_starting("ab9a").hex());
  fs::create_directory(root_ / "data/abc");
  write("data/abc/" + id_starting("abc").hex());
  fs::create_directory(root_ / "data/AB");
  write("data/AB/" + std::string(64, 'B'));
  write("data/zz");
  fs::create_directory(root_ / "tmp");
  EXPECT_EQ(listed(storage_, file_type::pack), (std::map<id, std::uint64_t>{{good, 4}}));
}

TEST_F(local_storage, follows_links_to_packs_moved_elsewhere) {
  const auto name = id_starting("ab12");
  storage_.save({file_type::pack, name}, as_bytes("moved"));
  const auto path = root_ / "data/ab" / name.hex();
  fs::rename(path, directory_.path() / "elsewhere");
  fs::create_symlink(directory_.path() / "elsewhere", path);
  EXPECT_EQ(listed(storage_, file_type::pack), (std::map<id, std::uint64_t>{{name, 5}}));
  EXPECT_EQ(as_text(storage_.load_all({file_type::pack, name})), "moved");
}

TEST_F(local_storage, missing_directories_hold_no_files) {
  fs::remove_all(root_ / "data");
  fs::remove(root_ / "locks");
  fs::remove(root_ / "index");
  std::ofstream(root_ / "index") << "a file";
  for (const auto type : {file_type::pack, file_type::lock, file_type::index})
    EXPECT_TRUE(listed(storage_, type).empty());
}

TEST_F(local_storage, makes_missing_directories_inside_a_repository) {
  save_config();
  fs::remove_all(root_ / "data");
  fs::remove(root_ / "locks");
  storage_.save({file_type::pack, id_starting("ab")}, as_bytes("pack"));
  storage_.save({file_type::lock, id_starting("ab")}, as_bytes("lock"));
  EXPECT_EQ(listed(storage_, file_type::pack).size(), 1u);
  EXPECT_EQ(listed(storage_, file_type::lock).size(), 1u);
}

TEST_F(local_storage, does_not_fill_the_place_of_an_unmounted_disk) {
  save_config();
  fs::remove_all(root_);
  fs::create_directory(root_);
  std::string message;
  EXPECT_EQ(code_of([&] { storage_.save({file_type::pack, id_starting("ab")}, as_bytes("pack")); }, &message),
            error_code::io);
  EXPECT_TRUE(contains(message, "mounted")) << message;
  EXPECT_TRUE(names_in(root_).empty());
}

TEST_F(local_storage, is_not_held_up_by_a_fifo_or_a_directory) {
  const auto fifo = id_starting("01"), directory = id_starting("02");
  ASSERT_EQ(::mkfifo((root_ / "keys" / fifo.hex()).c_str(), 0600), 0);
  fs::create_directory(root_ / "keys" / directory.hex());
  for (const auto& name : {fifo, directory}) {
    bytes into(1);
    EXPECT_EQ(code_of([&] { (void)storage_.load_all({file_type::key, name}); }), error_code::damaged);
    EXPECT_EQ(code_of([&] { storage_.load({file_type::key, name}, 0, into); }), error_code::damaged);
  }
  EXPECT_TRUE(listed(storage_, file_type::key).empty());
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RECOUP_TEST_ALLOCATOR_ABORTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RECOUP_TEST_ALLOCATOR_ABORTS 1
#endif
#endif

// Sanitizers end the program instead of throwing bad_alloc.
#ifndef RECOUP_TEST_ALLOCATOR_ABORTS
TEST_F(local_storage, a_file_of_absurd_length_is_damage) {
  const auto name = id_starting("03");
  const auto path = root_ / "index" / name.hex();
  std::ofstream{path};
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 43), 0) << "the tests need a file system with sparse files of 8 TiB";
  rlimit saved{};
  ::getrlimit(RLIMIT_AS, &saved);
  const auto attempt = code_of([&] {
    rlimit small{std::min<rlim_t>(saved.rlim_max, rlim_t{1} << 42), saved.rlim_max};
    ::setrlimit(RLIMIT_AS, &small);
    (void)storage_.load_all({file_type::index, name});
  });
  ::setrlimit(RLIMIT_AS, &saved);
  EXPECT_EQ(attempt, error_code::damaged);
}
#endif

TEST_F(local_storage, a_relative_path_stays_where_it_was) {
  const auto old = fs::current_path();
  fs::current_path(directory_.path());
  local_backend relative("repository///");
  fs::current_path("/");
  EXPECT_EQ(relative.location(), root_.string());
  relative.save({file_type::key, id_starting("01")}, as_bytes("key"));
  fs::current_path(old);
  EXPECT_TRUE(fs::exists(root_ / "keys" / id_starting("01").hex()));
}

TEST_F(local_storage, create_makes_the_directories_above) {
  const auto deep = directory_.path() / "a/b/c";
  local_backend(deep).create();
  EXPECT_TRUE(fs::exists(deep / "data/00"));
  EXPECT_EQ(mode_of(directory_.path() / "a"), 0700u);
  std::ofstream(directory_.path() / "file") << "in the way";
  std::string message;
  EXPECT_EQ(code_of([&] { local_backend(directory_.path() / "file").create(); }, &message), error_code::io);
  EXPECT_TRUE(contains(message, "file")) << message;
}

TEST_F(local_storage, removes_stale_temporary_files_and_nothing_else) {
  const auto hex = id_starting("ab12").hex();
  save_config();
  storage_.save({file_type::pack, id_starting("ab12")}, as_bytes("pack"));
  const std::vector<fs::path> stale{"data/ab/" + hex + "-tmp-1", "keys/" + hex + "-tmp-99", "config-tmp-7"};
  const std::vector<fs::path> kept{"data/ab/notes-tmp-1", "data/ab/" + hex + ".bak", "notes", "my-tmp-dir"};
  for (const auto& paths : {stale, kept})
    for (const auto& path : paths) {
      std::ofstream(root_ / path) << "x";
      fs::last_write_time(root_ / path, fs::file_time_type::clock::now() - std::chrono::hours(48));
    }
  std::ofstream(root_ / ("index/" + hex + "-tmp-2")) << "being written now";

  EXPECT_EQ(storage_.remove_stale_temporary_files(std::chrono::hours(24)), stale.size());
  for (const auto& path : stale) EXPECT_FALSE(fs::exists(root_ / path)) << path;
  for (const auto& path : kept) EXPECT_TRUE(fs::exists(root_ / path)) << path;
  EXPECT_TRUE(fs::exists(root_ / ("index/" + hex + "-tmp-2")));
  EXPECT_EQ(listed(storage_, file_type::pack).size(), 1u);
}

TEST_F(local_storage, a_failed_save_leaves_nothing) {
  const auto file = stored_file{file_type::pack, id_starting("ab")};
  struct sigaction ignore {}, saved_action{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &saved_action);
  rlimit saved{};
  ::getrlimit(RLIMIT_FSIZE, &saved);
  rlimit small{100'000, saved.rlim_max};  // makes write() stop half-way, then fail
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  const auto code = code_of([&] { storage_.save(file, random_content(150'000, 1)); }, &message);
  ::setrlimit(RLIMIT_FSIZE, &saved);
  ::sigaction(SIGXFSZ, &saved_action, nullptr);
  EXPECT_EQ(code, error_code::io);
  EXPECT_TRUE(contains(message, file.describe())) << message;
  EXPECT_TRUE(names_in(root_ / "data/ab").empty());
}

TEST_F(local_storage, without_permission_says_who_may_not_do_what) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  save_config();
  const auto file = stored_file{file_type::snapshot, id_starting("ab")};
  storage_.save(file, as_bytes("snapshot"));
  ::chmod(directory_.path().c_str(), 0755);
  ::chmod(root_.c_str(), 0755);
  ::chmod((root_ / "snapshots").c_str(), 0755);

  as_nobody([&] {
    const std::vector<std::function<void()>> attempts{
        [&] { (void)storage_.load_all(file); }, [&] { storage_.remove(file); },
        [&] { storage_.save({file_type::snapshot, id_starting("cd")}, as_bytes("x")); },
        [&] { storage_.save({file_type::index, id_starting("cd")}, as_bytes("x")); },
        [&] { (void)listed(storage_, file_type::index); }, [&] { local_backend(root_ / "sub").create(); }};
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      std::string message;
      EXPECT_EQ(code_of(attempts[i], &message), error_code::access_denied) << i;
      EXPECT_TRUE(contains(message, root_.string()) && contains(message, "user id 65534")) << i << ": " << message;
    }
  });
  EXPECT_EQ(listed(storage_, file_type::snapshot).size(), 1u);
}

/// A small file system of its own, if we may mount one.
class small_disk : public testing::Test {
protected:
  small_disk() {
    mounted_ = ::mount("none", directory_.path().c_str(), "tmpfs", 0, "size=2m,mode=700") == 0;
    if (mounted_) storage_ = std::make_unique<local_backend>(directory_.path() / "repository");
  }
  ~small_disk() override {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  void SetUp() override {
    if (!mounted_) GTEST_SKIP() << "mounting a tmpfs is not permitted here";
    storage_->create();
  }

  unique_directory directory_;
  bool mounted_ = false;
  std::unique_ptr<local_backend> storage_;
};

TEST_F(small_disk, full_means_no_space_and_what_is_stored_stays) {
  const auto first = stored_file{file_type::pack, id_starting("ab01")};
  const auto second = stored_file{file_type::pack, id_starting("ab02")};
  const auto content = random_content(1'200'000, 1);
  storage_->save(first, content);
  std::string message;
  EXPECT_EQ(code_of([&] { storage_->save(second, content); }, &message), error_code::no_space);
  EXPECT_TRUE(contains(message, second.describe()) && contains(message, "free some space")) << message;
  EXPECT_EQ(names_in(directory_.path() / "repository/data/ab"), std::vector<std::string>{first.name.hex()});
  EXPECT_TRUE(storage_->load_all(first) == content);
  storage_->remove(first);
  storage_->save(second, content);
  EXPECT_TRUE(storage_->load_all(second) == content);
}

TEST_F(small_disk, read_only_is_named) {
  const auto file = stored_file{file_type::key, id_starting("ab01")};
  storage_->save(file, as_bytes("key"));
  ASSERT_EQ(::mount("none", directory_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  std::string message;
  EXPECT_EQ(code_of([&] { storage_->save({file_type::key, id_starting("ab02")}, as_bytes("x")); }, &message),
            error_code::access_denied);
  EXPECT_TRUE(contains(message, "read-only")) << message;
  EXPECT_EQ(code_of([&] { storage_->remove(file); }), error_code::access_denied);
  EXPECT_EQ(as_text(storage_->load_all(file)), "key");
}

TEST_F(local_storage, a_killed_program_leaves_whole_files_only) {
  std::uint64_t survived = 0;
  // On a busy machine more rounds may have to pass until a child comes to write anything.
  for (std::uint64_t round = 0; round < 25 || (survived == 0 && round < 250); ++round) {
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (std::uint64_t i = round * 1000;; ++i)
        storage_.save({file_type::pack, numbered_id(i)}, random_content(300'000 + i, i));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + round * 3));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    std::uint64_t in_order = round * 1000;
    const auto found = listed(storage_, file_type::pack);
    for (; found.contains(numbered_id(in_order)); ++in_order) {
      EXPECT_TRUE(storage_.load_all({file_type::pack, numbered_id(in_order)}) ==
                  random_content(300'000 + in_order, in_order));
    }
    survived += in_order - round * 1000;
    EXPECT_EQ(found.size(), survived);
    (void)storage_.remove_stale_temporary_files(std::chrono::seconds(0));
  }
  EXPECT_GT(survived, 0u);
}

TEST(memory_storage, copies_are_independent) {
  memory_backend storage;
  storage.save({file_type::key, id_starting("01")}, as_bytes("one"));
  const auto before = storage.copy();
  storage.remove({file_type::key, id_starting("01")});
  EXPECT_EQ(as_text(before->load_all({file_type::key, id_starting("01")})), "one");
}

std::string refusal(std::string_view location, error_code expected, const backend_options& options = {}) {
  std::string message;
  EXPECT_EQ(code_of([&] { (void)open_backend(location, {.options = options}); }, &message), expected) << location;
  return message;
}

TEST(location, paths_are_directories) {
  const auto here = fs::current_path();
  EXPECT_EQ(open_backend("/srv/backup")->location(), "/srv/backup");
  EXPECT_EQ(open_backend("/srv/backup/")->location(), "/srv/backup");
  EXPECT_EQ(open_backend("/")->location(), "/");
  EXPECT_EQ(open_backend("/srv/a:b")->location(), "/srv/a:b");
  EXPECT_EQ(open_backend("local:/srv/backup")->location(), "/srv/backup");
  EXPECT_EQ(open_backend("local:s3:x")->location(), (here / "s3:x").string());
  EXPECT_EQ(open_backend("backup")->location(), (here / "backup").string());
  EXPECT_EQ(open_backend("s3")->location(), (here / "s3").string());
  EXPECT_EQ(open_backend("./a:b")->location(), (here / "./a:b").string());
  EXPECT_EQ(open_backend("~/backup")->location(), (here / "~/backup").string());
}

TEST(location, what_is_no_directory_is_refused_with_a_way_out) {
  EXPECT_TRUE(contains(refusal("", error_code::invalid_argument), "RESTIC_REPOSITORY"));
  (void)refusal("local:", error_code::invalid_argument);
  EXPECT_TRUE(contains(refusal("ftp:host/path", error_code::invalid_argument), "local:ftp:host/path"));
  (void)refusal(":x", error_code::invalid_argument);
  for (const auto* location : {"sftp:user@host:/path", "rest:https://host/", "rclone:remote:path", "b2:bucket:path",
                               "azure:container:/", "gs:bucket:/", "swift:container:/path"})
    EXPECT_TRUE(contains(refusal(location, error_code::unsupported), "not supported")) << location;
}

TEST(location, secrets_are_not_shown) {
  const auto message = refusal("rest:https://anna:geheim@backup.example/repo", error_code::unsupported);
  EXPECT_FALSE(contains(message, "geheim") || contains(message, "anna")) << message;
  EXPECT_TRUE(contains(message, "rest:https://***@backup.example/repo")) << message;

  const std::pair<const char*, const char*> shown[] = {
      {"s3:https://host/bucket", "s3:https://host/bucket"},
      {"s3:https://host:9000/b@c", "s3:https://host:9000/b@c"},
      {"s3:https://[::1]:9000/b@c", "s3:https://[::1]:9000/b@c"},
      {"https://token@host", "https://***@host"},
      {"rest:http://u:p@w@host/x", "rest:http://***@host/x"},
      {"rest:http://u:pa/ss@host/x", "rest:http://***@host/x"},
      {"/srv/user:password@x", "/srv/user:password@x"},
      {"x://", "x://"},
      {"", ""},
  };
  for (const auto& [location, expected] : shown) EXPECT_EQ(location_without_secrets(location), expected);
}

TEST(location, options_are_checked) {
  EXPECT_EQ(open_backend("/x")->connections(), 2u);
  EXPECT_EQ(open_backend("/x", {.options = {{"local.connections", "7"}}})->connections(), 7u);
  EXPECT_EQ(open_backend("/x", {.options = {{"s3.region", "eu"}, {"sftp.command", "ssh"}}})->connections(), 2u);
  for (const auto* value : {"0", "-1", "", "two", "5x", " 5", "1001", "99999999999999999999"})
    EXPECT_TRUE(contains(refusal("/x", error_code::invalid_argument, {{"local.connections", value}}),
                         "local.connections"));
  EXPECT_TRUE(contains(refusal("/x", error_code::invalid_argument, {{"local.conections", "2"}}), "local.conections"));
  EXPECT_TRUE(contains(refusal("/x", error_code::invalid_argument, {{"lokal.connections", "2"}}), "lokal"));
  EXPECT_TRUE(contains(refusal("/x", error_code::invalid_argument, {{"connections", "2"}}), "<backend>.<name>"));
  EXPECT_EQ(code_of([] { local_backend("/x", {.connections = 0}); }), error_code::invalid_argument);
}

}  // namespace
}  // namespace recoup_test
