// Backups that go on from an interrupted one: what is read again and what is not, whatever became of the journal.
#include <recoup/ops/backup.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <set>

#include <recoup/repo/tree_reader.hpp>

#include "test_repository.hpp"
#include "unique_directory.hpp"

namespace recoup {
namespace {

namespace fs = std::filesystem;
using names = std::set<std::string>;

std::string random_text(std::size_t length, unsigned seed) {
  std::mt19937_64 random(seed);
  std::string text(length, '\0');
  for (auto& c : text) c = static_cast<char>(random());
  return text;
}

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void replace(const fs::path& file, std::string_view content) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream.write(content.data(), static_cast<std::streamsize>(content.size()));
}

class observing_backup : public recording_backup {
public:
  void on_file_started(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    read.insert(fs::path(path).filename());
    if (on_read) on_read(read.size());
  }
  void on_bytes_done(std::uint64_t count) override {
    if (on_bytes) on_bytes(bytes += count);
  }
  void on_resumed(std::uint64_t files) override { resumed = files; }
  void on_noted() override { noted = true; }
  void on_not_noted(const error& problem) override { trouble = problem.what(); }

  names read;
  std::atomic<std::uint64_t> bytes{0};
  std::uint64_t resumed = 0;
  bool noted = false;
  std::string trouble;
  std::function<void(std::size_t)> on_read;
  std::function<void(std::uint64_t)> on_bytes;

private:
  std::mutex mutex_;
};

class backup_journal_test : public testing::Test {
protected:
  static constexpr int files = 40;

  backup_journal_test() {
    choice_.chunker_polynomial = polynomial::random();
    repo_ = repository::create(storage_, test_password, choice_);
    fs::create_directory(source_ / "s");
    fs::current_path(source_.path());
    for (int i = 0; i < files; ++i) write(name(i), random_text(1000 + 37 * static_cast<std::size_t>(i), 7 + i));
    write("empty", "");
  }
  ~backup_journal_test() override { fs::current_path("/"); }

  static std::string name(int i) { return (i < 10 ? "f0" : "f") + std::to_string(i); }
  std::string write(const std::string& file, std::string_view content) const {
    return source_.write("s/" + file, content);
  }

  using change = std::function<void(backup_options&, observing_backup&)>;

  [[nodiscard]] backup_options options() {
    auto made = options_for({"s"});
    made.journal_directory = cache_.path();
    made.threads = 1;
    repo_->load_index();
    made.parent = find_parent(*repo_, made);
    return made;
  }

  backup_result run(const change& more = {}) {
    auto made = options();
    observed_ = std::make_unique<observing_backup>();
    if (more) more(made, *observed_);
    auto result = backup(*repo_, made, *observed_);
    for (const auto& [path, problem] : observed_->errors) ADD_FAILURE() << path << ": " << problem;
    return result;
  }

  /// Stopped once the function that `arm` sets asks for it.
  void interrupt(const std::function<void(observing_backup&, std::stop_source)>& arm, const change& more = {}) {
    std::stop_source stop;
    EXPECT_THROW((void)run([&](backup_options& chosen, observing_backup& observer) {
                   if (more) more(chosen, observer);
                   chosen.stop = stop.get_token();
                   arm(observer, stop);
                 }),
                 error);
    interrupted_read_ = observed_->read;
    repo_ = open_repository(storage_);
  }
  void interrupt_after(std::size_t count, const change& more = {}) {
    interrupt(
        [count](observing_backup& observer, std::stop_source stop) {
          observer.on_read = [count, stop](std::size_t read) mutable {
            if (read == count) stop.request_stop();
          };
        },
        more);
  }

  /// When all was read, but there is no snapshot yet.
  void interrupt_at_the_end(const backup_result& whole) {
    interrupt([total = whole.summary.total_bytes_processed](observing_backup& observer, std::stop_source stop) {
      observer.on_bytes = [total, stop](std::uint64_t bytes) mutable {
        if (bytes == total) stop.request_stop();
      };
    });
  }

  /// What a backup without interruption makes of the same files, and how it counts them.
  [[nodiscard]] backup_result undisturbed() {
    const auto repo = repository::create(std::make_shared<memory_backend>(), test_password, choice_);
    observing_backup nobody;
    return backup(*repo, options_for({"s"}), nobody);
  }

  [[nodiscard]] fs::path directory() const { return journal_directory(cache_.path(), repo_->config().id); }
  [[nodiscard]] std::vector<fs::path> journals() const {
    std::vector<fs::path> found;
    if (fs::exists(directory()))
      for (const auto& each : fs::directory_iterator(directory())) found.push_back(each.path());
    return found;
  }
  [[nodiscard]] fs::path journal() const {
    const auto all = journals();
    return all.size() == 1 ? all.front() : throw std::runtime_error("not one journal");
  }

  [[nodiscard]] names all_but(const names& some) const {
    names rest;
    for (int i = 0; i < files; ++i)
      if (!some.contains(name(i))) rest.insert(name(i));
    if (!some.contains("empty")) rest.insert("empty");
    return rest;
  }

  /// Every file gets a new inode and ctime.
  void copy_all() const {
    for (const auto& each : all_but({})) {
      const auto path = source_ / ("s/" + each);
      struct stat status {};
      ASSERT_EQ(::stat(path.c_str(), &status), 0);
      fs::copy(path, path + "~");
      const timespec times[] = {status.st_atim, status.st_mtim};
      ASSERT_EQ(::utimensat(AT_FDCWD, (path + "~").c_str(), times, 0), 0);
      fs::rename(path + "~", path);
    }
  }

  unique_directory source_, cache_;
  create_options choice_ = fast_creation();
  std::shared_ptr<memory_backend> storage_ = std::make_shared<memory_backend>();
  std::shared_ptr<repository> repo_;
  std::unique_ptr<observing_backup> observed_;
  names interrupted_read_;
};

TEST_F(backup_journal_test, what_was_read_is_not_read_again) {
  const auto whole = undisturbed();
  interrupt_after(25);
  EXPECT_TRUE(observed_->noted);
  EXPECT_EQ(journals().size(), 1u);
  const auto made = run();
  EXPECT_EQ(observed_->resumed, interrupted_read_.size());
  EXPECT_EQ(observed_->read, all_but(interrupted_read_));
  EXPECT_EQ(made.taken_over.files, interrupted_read_.size());
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
  EXPECT_EQ(made.summary.files_new, whole.summary.files_new);
  EXPECT_EQ(made.summary.total_bytes_processed, whole.summary.total_bytes_processed);
  EXPECT_TRUE(damage_in(storage_).empty());
  EXPECT_FALSE(fs::exists(directory())) << "a journal is left";
}

TEST_F(backup_journal_test, interrupted_again_and_again) {
  const auto whole = undisturbed();
  names ever;
  for (int i = 0; i < 4; ++i) {
    interrupt_after(8);
    for (const auto& each : interrupted_read_) EXPECT_TRUE(ever.insert(each).second) << each << " was read twice";
  }
  const auto made = run();
  EXPECT_EQ(observed_->read, all_but(ever));
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
}

TEST_F(backup_journal_test, counts_are_those_of_files_that_were_read) {
  (void)run();
  for (int i = 0; i < 20; ++i) write(name(i), "changed " + std::to_string(i));
  write("g", "new");
  const auto parent = options().parent;
  interrupt_after(12);
  const auto made = run();
  EXPECT_EQ(made.taken_over.files, 12u);
  EXPECT_EQ(made.summary.files_changed, 20u);
  EXPECT_EQ(made.summary.files_new, 1u);
  EXPECT_EQ(made.summary.files_unmodified, 21u);
  EXPECT_EQ(made.snapshot.parent, parent->id);
}

TEST_F(backup_journal_test, what_changed_since_is_read) {
  interrupt_after(25);
  auto changed = names(interrupted_read_.begin(), std::next(interrupted_read_.begin(), 5));
  for (const auto& each : changed) {
    struct stat before {};
    const auto path = source_ / ("s/" + each);
    ASSERT_EQ(::stat(path.c_str(), &before), 0);
    write(each, std::string(static_cast<std::size_t>(before.st_size), 'x'));  // of the same size,
    const timespec times[] = {before.st_atim, before.st_mtim};                // and with the old mtime
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  const auto whole = undisturbed();
  const auto made = run();
  auto expected = all_but(interrupted_read_);
  expected.merge(changed);
  EXPECT_EQ(observed_->read, expected);
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
}

TEST_F(backup_journal_test, another_inode_is_another_file) {
  interrupt_after(25);
  copy_all();
  EXPECT_EQ(run([](backup_options& chosen, observing_backup&) { chosen.ignore_ctime = true; }).taken_over.files, 0u);
}

TEST_F(backup_journal_test, inodes_can_be_ignored) {
  interrupt_after(25);
  copy_all();
  EXPECT_EQ(run([](backup_options& chosen, observing_backup&) { chosen.ignore_inode = true; }).taken_over.files, 25u);
}

TEST_F(backup_journal_test, another_ctime_is_another_file) {
  interrupt_after(25);
  for (int i = 0; i < files; ++i) ASSERT_EQ(::chmod((source_ / ("s/" + name(i))).c_str(), 0600), 0);
  EXPECT_LE(run().taken_over.files, 1u);  // the empty one
}

TEST_F(backup_journal_test, ctimes_can_be_ignored) {
  interrupt_after(25);
  for (int i = 0; i < files; ++i) ASSERT_EQ(::chmod((source_ / ("s/" + name(i))).c_str(), 0600), 0);
  const auto whole = undisturbed();
  const auto made = run([](backup_options& chosen, observing_backup&) { chosen.ignore_ctime = true; });
  EXPECT_EQ(made.taken_over.files, 25u);
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree) << "metadata are the new ones";
}

TEST_F(backup_journal_test, all_can_be_read) {
  interrupt_after(25);
  const change all = [](backup_options& chosen, observing_backup&) { chosen.read_all = true; };
  interrupt_after(10, all);
  EXPECT_EQ(interrupted_read_.size(), 10u);
  interrupt_after(3);  // what was noted before is not lost
  EXPECT_EQ(observed_->resumed, 25u);
  const auto made = run(all);
  EXPECT_EQ(observed_->read, all_but({}));
  EXPECT_EQ(made.taken_over.files, 0u);
}

TEST_F(backup_journal_test, files_whose_blobs_are_gone_are_read) {
  const auto whole = undisturbed();
  interrupt_after(25);
  for (const auto type : {file_type::pack, file_type::index})
    for (const auto& each : repo_->list(type)) storage_->remove({type, each.name});
  repo_ = open_repository(storage_);
  const auto made = run();
  EXPECT_EQ(observed_->read, all_but({"empty"}));
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_journal_test, a_large_file_is_read_on_where_it_was_left) {
  constexpr std::size_t size = std::size_t{60} << 20;
  write("a-large", random_text(size, 1));
  const auto whole = undisturbed();
  std::uint64_t before = 0;
  const auto at_half = [&](observing_backup& observer, std::stop_source stop) {
    observer.on_bytes = [&before, stop](std::uint64_t bytes) mutable {
      before = bytes;
      if (bytes > size / 2) stop.request_stop();
    };
  };
  interrupt(at_half);
  interrupt([](observing_backup& observer, std::stop_source stop) {  // and once more, soon
    observer.on_read = [stop](std::size_t) mutable { stop.request_stop(); };
  });
  const auto made = run();
  EXPECT_GE(made.taken_over.bytes, size / 2);
  EXPECT_LE(made.taken_over.bytes, before);
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
  EXPECT_EQ(made.summary.total_bytes_processed, whole.summary.total_bytes_processed);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_journal_test, a_large_file_that_was_finished_is_taken_over) {
  write("a-large", random_text(std::size_t{20} << 20, 1));
  const auto whole = undisturbed();
  interrupt_at_the_end(whole);
  const auto made = run();
  EXPECT_TRUE(observed_->read.empty());
  EXPECT_EQ(made.taken_over.bytes, whole.summary.total_bytes_processed);
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
}

TEST_F(backup_journal_test, a_large_file_that_lost_a_middle_part_is_read_from_there) {
  write("a-large", random_text(std::size_t{60} << 20, 1));
  const auto elsewhere = repository::create(std::make_shared<memory_backend>(), test_password, choice_);
  observing_backup nobody;
  const auto whole = backup(*elsewhere, options_for({"s"}), nobody);
  interrupt_at_the_end(whole);
  for (const auto& each : repo_->list(file_type::index)) storage_->remove({file_type::index, each.name});
  // Which packs are finished first is up to the threads: any of the file's will do but the one with its beginning.
  const auto folder = find_in_tree(*elsewhere, whole.snapshot.tree, "s").value().subtree.value();
  const auto content = find_in_tree(*elsewhere, folder, "a-large").value().content.value();
  const auto pack_of = [&](const id& blob) { return repo_->index().find({blob_type::data, blob}).value().pack; };
  const auto lost = std::ranges::find_if(content, [&](const id& blob) { return pack_of(blob) != pack_of(content.front()); });
  ASSERT_NE(lost, content.end());
  const auto lost_pack = pack_of(*lost);
  storage_->remove({file_type::pack, lost_pack});
  repo_ = open_repository(storage_);
  const auto made = run([](backup_options& chosen, observing_backup&) { chosen.adopt_unindexed_packs = true; });
  EXPECT_TRUE(observed_->read.contains("a-large"));
  EXPECT_GT(made.taken_over.bytes, 0u);
  EXPECT_LT(made.taken_over.bytes, whole.summary.total_bytes_processed - (std::uint64_t{8} << 20));
  EXPECT_EQ(made.snapshot.tree, whole.snapshot.tree);
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_journal_test, whatever_became_of_the_journal) {
  const auto whole = undisturbed();
  interrupt_after(25);
  const auto good = content_of(journal());
  const auto path = journal();
  std::mt19937_64 random(5);
  const auto any = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  // All states of the storage are the same to each round: it is copied, file by file.
  for (int round = 0; round < 60; ++round) {
    auto bad = good;
    switch (round % 6) {
      case 0: bad.resize(any(bad.size())); break;
      case 1: bad[any(bad.size())] ^= static_cast<char>(1 + any(255)); break;
      case 2: bad = random_text(any(3000), static_cast<unsigned>(round)); break;
      case 3: bad = good.substr(0, 16) + random_text(any(3000), static_cast<unsigned>(round)); break;
      case 4: bad += random_text(1 + any(100), static_cast<unsigned>(round)); break;
      case 5: bad = good + good.substr(16); break;  // a record twice
    }
    fs::create_directories(path.parent_path());
    replace(path, bad);
    interrupt_after(1 + any(5));
    EXPECT_TRUE(observed_->noted) << round;
    const auto made = run();
    ASSERT_EQ(made.snapshot.tree, whole.snapshot.tree) << round;
    EXPECT_FALSE(fs::exists(path)) << round;
    if (round % 6 >= 4) {
      EXPECT_GE(made.taken_over.files, 25u) << round;
    }
    storage_->remove({file_type::snapshot, *made.snapshot_id});
    repo_ = open_repository(storage_);
  }
  EXPECT_TRUE(damage_in(storage_).empty());
}

TEST_F(backup_journal_test, no_file_at_all_in_its_place) {
  interrupt_after(25);
  const auto path = journal();
  for (const auto& make : std::vector<std::function<void()>>{
           [&] { fs::create_directory(path); }, [&] { fs::create_symlink("/dev/zero", path); },
           [&] { ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0); }}) {
    fs::remove_all(path);
    make();
    interrupt_after(3);
    EXPECT_FALSE(observed_->noted);
    EXPECT_FALSE(observed_->trouble.empty());
  }
  (void)run();
}

TEST_F(backup_journal_test, two_at_once_do_not_mix) {
  interrupt_after(25);
  const auto path = journal();
  const auto before = content_of(path);
  {
    const file_descriptor other(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
    interrupt_after(30);
    EXPECT_FALSE(observed_->noted);
    EXPECT_NE(observed_->trouble.find("another backup of the same is running"), std::string::npos);
    EXPECT_EQ(content_of(path), before);
  }
  const auto made = run();
  EXPECT_EQ(made.taken_over.files, 25u);
}

TEST_F(backup_journal_test, others_have_journals_of_their_own) {
  interrupt_after(25);
  const auto path = journal();
  const change other_host = [](backup_options& chosen, observing_backup&) { chosen.hostname = "other"; };
  interrupt_after(3, other_host);
  EXPECT_EQ(observed_->resumed, 0u);
  ASSERT_EQ(journals().size(), 2u);
  // Under the other's name it does not open.
  for (const auto& each : journals())
    if (each != path) fs::copy_file(path, each, fs::copy_options::overwrite_existing);
  EXPECT_EQ(run(other_host).taken_over.files, 0u);
  EXPECT_EQ(run().taken_over.files, 25u);
}

TEST_F(backup_journal_test, old_ones_are_not_used_and_go) {
  interrupt_after(25);
  const auto age = [&](int days) {
    const timespec times[] = {{::time(nullptr) - days * 86400, 0}, {::time(nullptr) - days * 86400, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, journal().c_str(), times, 0), 0);
  };
  age(29);
  interrupt_after(2);
  EXPECT_EQ(observed_->resumed, 25u);
  age(31);
  interrupt_after(2, [](backup_options& chosen, observing_backup&) { chosen.hostname = "other"; });
  EXPECT_EQ(journals().size(), 1u) << "somebody came by";
  age(31);
  (void)run([](backup_options& chosen, observing_backup&) { chosen.hostname = "other"; });
  EXPECT_EQ(observed_->resumed, 0u);
}

TEST_F(backup_journal_test, nothing_secret_is_in_it) {
  write("unmistakable-name", "unmistakable content");
  interrupt_after(40);
  const auto text = content_of(journal());
  EXPECT_EQ(text.find("unmistakable"), std::string::npos);
  const auto blob = sha256(as_bytes(content_of(source_ / "s/f00")));
  EXPECT_EQ(text.find(as_text(blob.view())), std::string::npos);
}

TEST_F(backup_journal_test, it_is_not_backed_up_itself) {
  fs::create_directories(source_ / "s/cache");
  const change inside = [this](backup_options& chosen, observing_backup&) {
    chosen.journal_directory = source_ / "s/cache";
  };
  interrupt_after(25, inside);
  const auto made = run(inside);
  EXPECT_EQ(made.taken_over.files, 25u);
  EXPECT_FALSE(all_of(*repo_, find_subtree(*repo_, made.snapshot.tree, "s")).contains("/cache"));
}

TEST_F(backup_journal_test, a_directory_that_cannot_be_used) {
  const change unusable = [](backup_options& chosen, observing_backup&) { chosen.journal_directory = "/proc/nowhere"; };
  interrupt_after(25, unusable);
  EXPECT_FALSE(observed_->noted);
  EXPECT_FALSE(observed_->trouble.empty());
  EXPECT_EQ(run(unusable).errors, 0u);
}

TEST_F(backup_journal_test, short_backups_leave_no_trace) {
  (void)run();
  EXPECT_TRUE(fs::is_empty(cache_.path()));
}

TEST(noted_files_test, rely_on_nothing_that_is_marked_for_deletion) {
  blob_index index;
  const auto pack_of = [](std::uint8_t number) {
    packed_blob blob;
    blob.handle = {blob_type::data, id{}};
    blob.handle.id.value[0] = number;
    blob.length = 100;
    id name{};
    name.value[0] = number;
    return indexed_pack{name, {blob}};
  };
  const auto counts = pack_of(1), marked = pack_of(2);
  index.add_packs(std::span(&counts, 1));
  index.add_marked(std::span(&marked, 1));
  const std::array<std::uint8_t, 16> key{};
  noted_files noted(index, journal_hasher(key), {});
  for (const auto* pack : {&counts, &marked}) {
    journal_entry entry;
    entry.path[0] = pack->pack.value[0];
    entry.is_end = true;
    entry.blobs = std::span(&pack->blobs.front().handle.id, 1);
    noted.add(entry, [](const id&) { return true; });
  }
  noted.finish();
  EXPECT_EQ(noted.size(), 1u);
  EXPECT_FALSE(index.contains(marked.blobs.front().handle)) << "asking would have made it count";
}

TEST(noted_files_test, memory_for_each_file) {
  blob_index index;
  std::vector<packed_blob> blobs(1000);
  std::mt19937_64 random(1);
  constexpr std::uint32_t packs = 100;
  const std::array<std::uint8_t, 16> key{};
  noted_files noted(index, journal_hasher(key), {});
  std::vector<journal_entry> entries;
  for (std::uint32_t pack = 0; pack < packs; ++pack) {
    id name{};
    for (auto& byte : name.value) byte = static_cast<std::uint8_t>(random());
    std::uint32_t offset = 0;
    for (auto& blob : blobs) {
      for (auto& byte : blob.handle.id.value) byte = static_cast<std::uint8_t>(random());
      blob.handle.type = blob_type::data;
      blob.offset = offset;
      blob.length = 100;
      offset += 100;
    }
    index.add_pack(name, blobs);
    for (const auto& blob : blobs) {
      journal_entry entry;
      store_u64_le(entry.path.data(), random());
      entry.is_end = true;
      entry.blobs = std::span(&blob.handle.id, 1);
      noted.add(entry, [](const id&) { return true; });
      noted.add(entry, [](const id&) { return true; });
      if (entries.size() < 100) {
        entries.push_back(entry);
        entries.back().blobs = {};
      }
    }
  }
  noted.finish();
  EXPECT_EQ(noted.size(), packs * blobs.size());
  EXPECT_LE(noted.memory_bytes(), noted.size() * 25);
  for (const auto& each : entries) EXPECT_TRUE(noted.find(each.path, each.status));
}

}  // namespace
}  // namespace recoup
