// From a regular file to its node: unchanged ones by the parent snapshot, small ones in one go, large ones chunk by
// chunk on all threads.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <recoup/chunker/chunker.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/ops/backup/backup_state.hpp>
#include <recoup/ops/backup/directory_job.hpp>
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
    const auto* previous = job->find_previous(job->names[slot]);
    if (previous != nullptr && !content_changed(status, *previous)) {
      if (all_blobs_known(*previous)) {
        auto made = state_.read_source_node(directory, name, path, status, -1);
        made.name = job->names[slot];
        made.content = previous->content;
        state_.observer.on_bytes_done(made.size);
        finish_file(self, *job, slot, made, item_change::unchanged, {}, started);
        return;
      }
      state_.report(path, error(error_code::damaged,
                                "parts of " + path + " are not in the repository's index; it is stored again"));
    }
    const auto opened = open_for_reading(directory, name);
    if (!opened) throw source_error(system_error(errno, "cannot open " + path));
    if (::fstat(opened.get(), &status) != 0) throw source_error(system_error(errno, "cannot stat " + path));
    if (!S_ISREG(status.st_mode))
      throw source_error(error_code::io, path + " became something else than a file while it was opened");
    auto made = state_.read_source_node(directory, name, path, status, opened.get());
    made.name = job->names[slot];
    const auto snapshot_path = child_path(job->snapshot_path, made.name);
    state_.observer.on_file_started(snapshot_path);
    const auto head = read_up_to(opened.get(), self.small_file, path);
    if (head <= min_chunk) {
      save_small_file(self, *job, slot, previous, std::move(made), byte_view(self.small_file).first(head), started);
      return;
    }
    auto file = std::make_shared<large_file>();
    file->directory = job;
    file->slot = slot;
    if (previous != nullptr) file->previous = *previous;
    file->made = std::move(made);
    file->started = started;
    job->unfinished.fetch_add(1);
    const auto read = [&](byte_span into) { return read_up_to(opened.get(), into, path); };
    read_large_file(self, file, read, byte_view(self.small_file).first(head), path);
  }

  /// The same for what a program writes; `made` has all but size and content.
  void save_stream(worker& self, const std::shared_ptr<directory_job>& job, std::size_t slot, node made,
                   const backup_stream& stream) {
    const auto* previous = job->find_previous(made.name);
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
    const auto head = read(byte_span(self.small_file));
    // A program that writes nothing has most likely failed; an empty file would hide that.
    if (head == 0) throw source_error(error_code::io, "failed to save " + stream.path + ": no data read");
    auto file = std::make_shared<large_file>();
    file->directory = job;
    file->slot = slot;
    if (previous != nullptr) file->previous = *previous;
    file->made = std::move(made);
    job->unfinished.fetch_add(1);
    read_large_file(self, file, read, byte_view(self.small_file).first(head), stream.path);
  }

private:
  using clock = backup_state::clock;

  /// A file whose chunks several threads store.
  struct large_file {
    std::shared_ptr<directory_job> directory;
    std::size_t slot = 0;
    std::optional<node> previous;
    node made;
    clock::time_point started = clock::now();
    std::atomic<std::size_t> unstored{1};  // chunks, and one more for the reader
    std::atomic<bool> failed{false};       // reading failed: the chunks that were stored stay without a file
    std::mutex mutex;                      // guards the two below
    std::vector<id> content;
    item_stats stats;
  };

  [[nodiscard]] bool content_changed(const struct stat& status, const node& before) const {
    const auto same_time = [](const timestamp& stamp, const std::timespec& time) {
      return same_instant(stamp, local_timestamp(time));
    };
    return before.type != node_type::file || before.size != static_cast<std::uint64_t>(status.st_size) ||
           !same_time(before.mtime, status.st_mtim) ||
           (!state_.options.ignore_ctime && !state_.options.ignore_inode && !same_time(before.ctime, status.st_ctim)) ||
           (!state_.options.ignore_inode && before.inode != status.st_ino) || !before.content;
  }

  [[nodiscard]] bool all_blobs_known(const node& before) const {
    return std::ranges::all_of(*before.content, [this](const id& blob) {
      return state_.repo.index().contains({blob_type::data, blob});
    });
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

  /// At most one minimal chunk long, so it is one blob whatever is in it.
  void save_small_file(worker& self, directory_job& job, std::size_t slot, const node* previous, node made,
                       byte_view content, clock::time_point started) {
    made.size = content.size();
    made.content.emplace();
    item_stats stats;
    if (!content.empty()) {
      const auto saved = state_.repo.save_blob(blob_type::data, content);
      made.content->push_back(saved.id);
      add(stats, saved, content.size());
    }
    state_.observer.on_bytes_done(content.size());
    finish_file(self, job, slot, made, change_of(previous, made), stats, started);
  }

  [[nodiscard]] static item_change change_of(const node* previous, const node& made) {
    return previous == nullptr ? item_change::added
           : *previous == made ? item_change::unchanged
                               : item_change::modified;
  }

  static void add(item_stats& stats, const saved_blob& saved, std::size_t length) {
    if (!saved.is_new) return;
    ++stats.data_blobs;
    stats.data_size += length;
    stats.data_size_in_repo += saved.stored_length;
  }

  void finish_file(worker& self, directory_job& job, std::size_t slot, const node& made, item_change change,
                   const item_stats& stats, clock::time_point started) {
    self.totals += stats;
    self.summary.total_bytes_processed += made.size;
    ++(change == item_change::added       ? self.summary.files_new
       : change == item_change::unchanged ? self.summary.files_unmodified
                                          : self.summary.files_changed);
    append_node_json(job.encoded[slot], made);
    state_.observer.on_item_done({child_path(job.snapshot_path, made.name), node_type::file, change, made.size, stats,
                            clock::now() - started});
  }

  /// `read(span)` fills the span as far as there are bytes; `head` was read before.
  template <class Read>
  void read_large_file(worker& self, const std::shared_ptr<large_file>& file, const Read& read, byte_view head,
                       const std::string& path) {
    const auto help = [&] {
      throw_if_stopped(self.stop);
      return state_.stack.run_urgent(self);
    };
    auto buffer = state_.buffers.take(help);
    // run_urgent does not touch self.small_file, where `head` still is.
    std::copy(head.begin(), head.end(), buffer->memory.begin());
    buffer->filled = head.size();
    file->made.size = 0;
    try {
      bool at_end = false;
      for (std::size_t scanned = 0; !(at_end && buffer->filled == 0);) {
        const auto cut = state_.cutter.first_cut(byte_view(buffer->memory).first(buffer->filled), scanned, at_end);
        if (cut == chunker::more) {
          throw_if_stopped(self.stop);
          const auto room = byte_span(buffer->memory).subspan(buffer->filled);
          const auto got = read(room.first(std::min(room.size(), chunk_buffer::read_step)));
          buffer->filled += got;
          at_end = got == 0;
          continue;
        }
        auto next = state_.buffers.take(help);
        std::copy(buffer->memory.begin() + static_cast<std::ptrdiff_t>(cut),
                  buffer->memory.begin() + static_cast<std::ptrdiff_t>(buffer->filled), next->memory.begin());
        next->filled = buffer->filled - cut;
        buffer->filled = cut;
        scanned = 0;
        store_chunk(file, std::move(buffer));
        buffer = std::move(next);
      }
    } catch (const source_error& problem) {
      file->failed = true;
      state_.report(path, problem);
    }
    state_.buffers.give_back(std::move(buffer));
    one_chunk_less(self, *file);
  }

  void store_chunk(const std::shared_ptr<large_file>& file, chunk_buffers::buffer chunk) {
    file->unstored.fetch_add(1);
    file->made.size += chunk->filled;
    std::size_t number = 0;
    {
      const std::lock_guard lock(file->mutex);
      number = file->content.size();
      file->content.emplace_back();
    }
    // std::function must be copyable, a unique_ptr is not.
    const std::shared_ptr<chunk_buffers::buffer> shared = std::make_shared<chunk_buffers::buffer>(std::move(chunk));
    state_.stack.push_urgent([this, file, number, shared](worker& thread) {
      const auto content = byte_view((*shared)->memory).first((*shared)->filled);
      const auto saved = state_.repo.save_blob(blob_type::data, content);
      {
        const std::lock_guard lock(file->mutex);
        file->content[number] = saved.id;
        add(file->stats, saved, content.size());
      }
      state_.observer.on_bytes_done(content.size());
      state_.buffers.give_back(std::move(*shared));
      one_chunk_less(thread, *file);
    });
  }

  void one_chunk_less(worker& self, large_file& file) {
    if (file.unstored.fetch_sub(1) != 1) return;
    if (!file.failed) {
      file.made.content = std::move(file.content);
      finish_file(self, *file.directory, file.slot, file.made,
                  change_of(file.previous ? &*file.previous : nullptr, file.made), file.stats, file.started);
    }
    entry_done_(self, file.directory);
  }

  backup_state& state_;
  const entry_done entry_done_;
};

}  // namespace recoup
