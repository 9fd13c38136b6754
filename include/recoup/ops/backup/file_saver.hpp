// From a regular file to its node: unchanged ones by the parent snapshot, those that an interrupted backup has read by
// its journal, small ones some at once, large ones on all threads.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/chunker/chunker.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/ops/backup/backup_state.hpp>
#include <recoup/ops/backup/directory_job.hpp>
#include <recoup/ops/backup/large_file.hpp>
#include <recoup/ops/backup/stream.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

class file_saver {
public:
  using worker = backup_worker;
  /// Called once for each file that did not get finished within save().
  using entry_done = std::function<void(worker&, const std::shared_ptr<directory_job>&)>;

  file_saver(backup_state& state, entry_done on_done) : state_(state), entry_done_(std::move(on_done)) {}

  /// Fills the job's entry `slot` from the file `name` in `directory`, now or later. Throws source_error.
  void save(worker& self, const std::shared_ptr<directory_job>& job, std::size_t slot, int directory, const char* name,
                 const std::string& path, struct stat status) {
    const auto started = backup_state::clock::now();
    const auto* previous = job->previous.front().find(job->names[slot]);
    const auto same = find_unchanged(*job, job->names[slot], status);
    if (same.found != nullptr) {
      auto made = state_.node_of_unchanged(directory, name, path, status, *same.found);
      made.name = job->names[slot];
      made.content = same.found->content;
      state_.observer.on_bytes_done(made.size);
      finish_file(self, *job, slot, made, previous, content_is::kept, {}, started);
      return;
    }
    const auto noted_as = state_.journal != nullptr ? state_.journal->hash_of(path) : journal_hash{};
    if (auto content = noted_content(noted_as, status)) {
      auto made = state_.read_source_node(directory, name, path, status, -1);
      made.name = job->names[slot];
      made.content = std::move(content);
      self.taken_over += {1, made.size};
      state_.observer.on_bytes_done(made.size);
      finish_file(self, *job, slot, made, previous, content_is::read, {}, started);
      return;
    }
    if (same.is_incomplete)
      state_.report(path, error(error_code::damaged,
                                "parts of " + path + " are not in the repository's index; it is stored again"));
    auto opened = open_for_reading(directory, name);
    if (!opened) throw source_error(system_error(errno, "cannot open " + path));
    if (::fstat(opened.get(), &status) != 0) throw source_error(system_error(errno, "cannot stat " + path));
    if (!S_ISREG(status.st_mode))
      throw source_error(error_code::io, path + " became something else than a file while it was opened");
    auto made = state_.read_source_node(directory, name, path, status, opened.get());
    made.name = job->names[slot];
    const auto snapshot_path = child_path(job->snapshot_path, made.name);
    state_.observer.on_file_started(snapshot_path);
    auto beginning = noted_beginning(noted_as, status, opened.get());
    const auto head = read_up_to(opened.get(), room_for_head(self), path);
    if (head <= min_chunk && beginning.blobs.empty()) {
      self.small.add({job, slot, previous, std::move(made), head, started, noted_as});
      return;
    }
    auto file = start_large_file(job, slot, previous, std::move(made), started);
    if (state_.journal != nullptr) file->noted.emplace(noted_as, noted_status::of(status));
    go_on_behind(self, *file, std::move(beginning));
    file->read = [opened = std::make_shared<file_descriptor>(std::move(opened)), path](byte_span into) {
      return read_up_to(opened->get(), into, path);
    };
    file->path = path;
    read_on(self, file, self.small.rest().first(head));
  }

  /// Stores what save() has put aside. Called by each thread before it leaves a directory.
  void store_small_files(worker& self) {
    auto& waiting = self.small.waiting();
    std::array<byte_view, small_files::most> contents;
    std::array<saved_blob, small_files::most> saved;
    std::size_t blobs = 0;
    for (const auto& file : waiting)
      if (file.length != 0) contents[blobs++] = self.small.content(file);
    if (blobs != 0)
      state_.destinations.save(blob_type::data, std::span(contents).first(blobs), std::span(saved).first(blobs));
    blobs = 0;
    for (auto& file : waiting) {
      const auto status = noted_status::of(file.made);
      file.made.size = file.length;
      file.made.content.emplace();
      item_stats stats;
      if (file.length != 0) {
        file.made.content->push_back(saved[blobs].id);
        add(stats, saved[blobs++], file.length);
      }
      if (state_.journal != nullptr && status.size == file.length)
        state_.journal->note({file.noted_as, status, 0, true, *file.made.content});
      state_.observer.on_bytes_done(file.length);
      finish_file(self, *file.directory, file.slot, file.made, file.previous, content_is::read, stats, file.started);
    }
    self.small.clear();
  }

  /// The same for what a program writes; `made` has all but size and content.
  void save_stream(worker& self, const std::shared_ptr<directory_job>& job, std::size_t slot, node made,
                   const backup_stream& stream) {
    const auto* previous = job->previous.front().find(made.name);
    state_.observer.on_file_started(stream.path);
    const auto read = [&](byte_span into) {
      std::size_t filled = 0;
      while (filled < into.size()) {
        const auto got = stream.read(into.subspan(filled));
        if (got == 0) break;
        filled += got;
      }
      return filled;
    };
    const auto head = read(room_for_head(self));
    // A program that writes nothing has most likely failed; an empty file would hide that.
    if (head == 0) throw source_error(error_code::io, "failed to save " + stream.path + ": no data read");
    auto file = start_large_file(job, slot, previous, std::move(made), clock::now());
    file->read = read;
    file->path = stream.path;
    read_on(self, file, self.small.rest().first(head));
  }

private:
  using clock = backup_state::clock;

  [[nodiscard]] bool content_changed(const struct stat& status, const node& before) const {
    const auto same_time = [](const timestamp& stamp, const std::timespec& time) {
      return same_instant(stamp, local_timestamp(time));
    };
    return before.type != node_type::file || before.size != static_cast<std::uint64_t>(status.st_size) ||
           !same_time(before.mtime, status.st_mtim) ||
           (!state_.options.ignore_ctime && !state_.options.ignore_inode && !same_time(before.ctime, status.st_ctim)) ||
           (!state_.options.ignore_inode && before.inode != status.st_ino) || !before.content;
  }

  struct unchanged_file {
    const node* found = nullptr;  ///< in some repository's parent snapshot, and all repositories have its blobs
    bool is_incomplete = false;   ///< a repository lacks blobs of what is unchanged since its own parent snapshot
  };

  [[nodiscard]] unchanged_file find_unchanged(const directory_job& job, std::string_view name,
                                              const struct stat& status) const {
    unchanged_file result;
    const auto& all = state_.destinations;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].works()) continue;
      const auto* before = job.previous[i].find(name);
      if (before == nullptr || content_changed(status, *before)) continue;
      if (all.contain(*before->content)) return {before, false};
      result.is_incomplete = result.is_incomplete || !all.contains(all[i].repo, *before->content);
    }
    return result;
  }

  [[nodiscard]] std::optional<std::vector<id>> noted_content(const journal_hash& path,
                                                             const struct stat& status) const {
    if (state_.journal == nullptr) return std::nullopt;
    return state_.journal->noted().find(path, noted_status::of(status));
  }

  /// What an interrupted backup has stored of a large file; the next byte to be read is then the one behind it.
  [[nodiscard]] noted_files::beginning noted_beginning(const journal_hash& path, const struct stat& status,
                                                       int fd) const {
    if (state_.journal == nullptr) return {};
    auto found = state_.journal->noted().find_beginning(path, noted_status::of(status));
    if (found.blobs.empty()) return {};
    if (::lseek(fd, static_cast<off_t>(found.bytes), SEEK_SET) == static_cast<off_t>(found.bytes)) return found;
    if (::lseek(fd, 0, SEEK_SET) != 0) throw source_error(system_error(errno, "cannot read from the beginning"));
    return {};
  }

  /// Chunks do not depend on what is before them, so the rest is cut as if all of the file had been read.
  void go_on_behind(worker& self, large_file& file, noted_files::beginning beginning) {
    if (beginning.blobs.empty()) return;
    file.content = std::move(beginning.blobs);
    file.made.size = beginning.bytes;
    self.taken_over += {0, beginning.bytes};
    state_.observer.on_bytes_done(beginning.bytes);
  }

  /// Where the beginning of a file is read to; small_files::rest() until another file is added.
  [[nodiscard]] byte_span room_for_head(worker& self) {
    if (self.small.room() < small_files::longest) store_small_files(self);
    return self.small.rest();
  }

  /// Reads until `into` is full or the file ends.
  [[nodiscard]] static std::size_t read_up_to(int fd, byte_span into, const std::string& path) {
    std::size_t filled = 0;
    while (filled < into.size()) {
      const auto got = ::read(fd, into.data() + filled, into.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw source_error(system_error(errno, "cannot read " + path));
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    return filled;
  }

  enum class content_is : std::uint8_t { kept, read };

  [[nodiscard]] static item_change change_of(const node* previous, const node& made, content_is content) {
    if (previous == nullptr) return item_change::added;
    const bool is_kept = content == content_is::kept && previous->content == made.content;
    return is_kept || *previous == made ? item_change::unchanged : item_change::modified;
  }

  static void count(snapshot_summary& counts, item_change change, std::uint64_t size) {
    counts.total_bytes_processed += size;
    ++(change == item_change::added       ? counts.files_new
       : change == item_change::unchanged ? counts.files_unmodified
                                          : counts.files_changed);
  }

  static void add(item_stats& stats, const saved_blob& saved, std::size_t length) {
    if (!saved.is_new) return;
    ++stats.data_blobs;
    stats.data_size += length;
    stats.data_size_in_repo += saved.stored_length;
  }

  /// `previous` is what the first repository's parent snapshot has of it.
  void finish_file(worker& self, directory_job& job, std::size_t slot, const node& made, const node* previous,
                   content_is content, const item_stats& stats, clock::time_point started) {
    self.totals += stats;
    const auto change = change_of(previous, made, content);
    count(self.summaries.front(), change, made.size);
    for (std::size_t i = 1; i < self.summaries.size(); ++i)
      count(self.summaries[i], change_of(job.previous[i].find(made.name), made, content), made.size);
    append_node_json(job.encoded[slot], made);
    state_.observer.on_item_done({child_path(job.snapshot_path, made.name), node_type::file, change, made.size, stats,
                            clock::now() - started});
  }

  [[nodiscard]] std::shared_ptr<large_file> start_large_file(const std::shared_ptr<directory_job>& job, std::size_t slot,
                                                             const node* previous, node made,
                                                             clock::time_point started) {
    auto file = std::make_shared<large_file>();
    file->directory = job;
    file->slot = slot;
    if (previous != nullptr) file->previous = *previous;
    file->made = std::move(made);
    file->made.size = 0;
    file->started = started;
    job->unfinished.fetch_add(1);
    return file;
  }

  void read_on(worker& self, const std::shared_ptr<large_file>& file, byte_view head) {
    file->next = state_.buffers.take();
    std::ranges::copy(head, file->next->memory.begin());
    file->next->filled = head.size();
    take_turn(self, file);
  }

  /// Reads and cuts some chunks, lets the next thread read on, and stores them meanwhile.
  void take_turn(worker& self, const std::shared_ptr<large_file>& file) {
    throw_if_stopped(self.stop);
    chunk_group group;
    bool at_end = false;
    try {
      at_end = read_chunks(self, *file, group);
    } catch (const source_error& problem) {
      file->failed = true;
      state_.report(file->path, problem);
      state_.buffers.give_back(std::move(group.buffer));
      one_group_less(self, *file);
      return;
    }
    if (!group.lengths.empty()) file->unstored.fetch_add(1);
    if (at_end)
      file->read = nullptr;  // closes it
    else
      state_.stack.push_urgent([this, file](worker& thread) { take_turn(thread, file); });
    // From here on the file is another thread's, but for what its mutex guards.
    store_chunks(self, *file, group);
    if (at_end) one_group_less(self, *file);
  }

  /// Fills the group. Returns true at the file's end; otherwise file.next holds what is behind the group.
  [[nodiscard]] bool read_chunks(worker& self, large_file& file, chunk_group& group) {
    group.buffer = std::move(file.next);
    auto& [memory, filled] = *group.buffer;
    bool at_end = false;
    std::size_t begin = 0;
    for (std::size_t scanned = 0;;) {
      const auto cut =
          state_.cutter.first_cut(byte_view(memory).first(filled).subspan(begin), scanned, at_end);
      if (cut == 0) break;
      if (cut != chunker::more) {
        group.lengths.push_back(cut);
        begin += cut;
        scanned = 0;
        continue;
      }
      if (!group.lengths.empty() && filled >= chunk_buffer::usual_fill) break;
      throw_if_stopped(self.stop);
      const auto got = file.read(byte_span(memory).subspan(filled, std::min(memory.size() - filled, chunk_buffer::read_step)));
      filled += got;
      at_end = got == 0;
    }
    file.made.size += begin;
    {
      const std::lock_guard lock(file.mutex);
      group.first = file.content.size();
      file.content.resize(group.first + group.lengths.size());
    }
    if (at_end) return true;
    file.next = state_.buffers.take();
    std::copy(memory.begin() + static_cast<std::ptrdiff_t>(begin), memory.begin() + static_cast<std::ptrdiff_t>(filled),
              file.next->memory.begin());
    file.next->filled = filled - begin;
    return false;
  }

  void store_chunks(worker& self, large_file& file, chunk_group& group) {
    auto rest = byte_view(group.buffer->memory);
    auto number = group.first;
    for (std::span<const std::size_t> lengths(group.lengths); !lengths.empty();) {
      std::array<byte_view, blob_saver::most_at_once> contents;
      std::array<saved_blob, blob_saver::most_at_once> saved;
      const auto count = std::min(lengths.size(), contents.size());
      std::uint64_t total = 0;
      for (std::size_t i = 0; i < count; ++i) {
        contents[i] = rest.first(lengths[i]);
        rest = rest.subspan(lengths[i]);
        total += lengths[i];
      }
      lengths = lengths.subspan(count);
      state_.destinations.save(blob_type::data, std::span(contents).first(count), std::span(saved).first(count));
      std::array<id, blob_saver::most_at_once> ids;
      std::ranges::transform(std::span(saved).first(count), ids.begin(), &saved_blob::id);
      if (file.noted)
        state_.journal->note({file.noted->first, file.noted->second, static_cast<std::uint32_t>(number), false,
                              std::span(ids).first(count)});
      {
        const std::lock_guard lock(file.mutex);
        for (std::size_t i = 0; i < count; ++i) {
          file.content[number++] = ids[i];
          add(file.stats, saved[i], contents[i].size());
        }
      }
      state_.observer.on_bytes_done(total);
    }
    state_.buffers.give_back(std::move(group.buffer));
    if (!group.lengths.empty()) one_group_less(self, file);
  }

  void one_group_less(worker& self, large_file& file) {
    if (file.unstored.fetch_sub(1) != 1) return;
    if (!file.failed) {
      if (file.noted && file.noted->second.size == file.made.size)
        state_.journal->note(
            {file.noted->first, file.noted->second, static_cast<std::uint32_t>(file.content.size()), true, {}});
      file.made.content = std::move(file.content);
      finish_file(self, *file.directory, file.slot, file.made,
                  file.previous ? &*file.previous : nullptr, content_is::read, file.stats, file.started);
    }
    entry_done_(self, file.directory);
  }

  backup_state& state_;
  const entry_done entry_done_;
};

}  // namespace recoup
