// The second pass: contents.
//
//   sort the references by pack and offset; cut them into parts of a few MiB that are read at once
//   each thread, until no part is left:
//     read a part                                     [one request]
//     some blobs in it: open, decompress, check       [once, however many files need them]
//       write each wherever it belongs
//       whoever writes the last blob of a file applies its metadata and closes it
//
// A thread does all steps for its part, so its data stays in its cache; there are as many threads as it takes to keep
// both processors and connections busy. Memory is one part, one group of blobs and a few contexts per thread. A blob that cannot
// be had from its pack is looked for in other packs; failing that, each file that needs it is reported, and gets
// everything else.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/worker_group.hpp>
#include <recoup/ops/restore/context.hpp>
#include <recoup/ops/restore/open_files.hpp>
#include <recoup/ops/restore/target_file.hpp>
#include <recoup/repo/pack_parts.hpp>

namespace recoup {

class content_writer {
public:
  explicit content_writer(restore_context& context) : context_(context), open_files_(64 + context.threads) {}

  void run();

  /// Tells what run() would do.
  void report_only() {
    for (std::uint32_t number = 0; number < context_.plan.files.size(); ++number) {
      auto& file = context_.plan.files[number];
      if (file.is(planned_file::unchanged)) continue;
      context_.reporter.counters().bytes_restored += file.size;
      report(file);
    }
  }

private:
  class worker;

  // --- planning ---

  /// Empty files, and files whose content is right but followed by something else.
  void write_files_without_work() {
    parallel_for_each(context_.threads, std::views::iota(std::uint32_t{0}, context_.plan.files.size()),
                      [this](std::uint32_t number) {
                        auto& file = context_.plan.files[number];
                        if (file.remaining == 0 && !file.is(planned_file::unchanged)) finish(number, {});
                      },
                      context_.reporter.token());
  }

  void sort_references() {
    std::sort(context_.plan.references.begin(), context_.plan.references.end(), [](const auto& a, const auto& b) {
      if (a.pack != b.pack) return a.pack < b.pack;
      if (a.offset != b.offset) return a.offset < b.offset;
      if (a.blob != b.blob) return a.blob < b.blob;
      return a.file != b.file ? a.file < b.file : a.position < b.position;
    });
  }

  [[nodiscard]] std::vector<pack_part> divide() const {
    const auto& references = context_.plan.references;
    // Those that need no writing come last.
    const auto end = std::ranges::lower_bound(references, blob_reference::matches, {}, &blob_reference::pack);
    return divide_into_parts(static_cast<std::size_t>(end - references.begin()), [&](std::size_t i) {
      const auto& reference = references[i];
      return pack_place{reference.pack, reference.offset, context_.repo.index().at(reference.blob).blob.length};
    });
  }

  // --- one file ---

  [[nodiscard]] std::string path_of(const planned_file& file) const {
    return context_.directories.path(file.directory, file.name);
  }

  void fail(planned_file& file, const error& problem) {
    if (file.set(planned_file::failed)) context_.reporter.failed(path_of(file), problem);
  }

  [[nodiscard]] file_descriptor open(planned_file& file) {
    const auto directory = context_.directories.open(file.directory);
    if (file.is(planned_file::created)) {
      auto opened = open_regular_file(directory->get(), file.name, O_WRONLY);
      if (!opened) throw system_error(errno, "cannot write to " + path_of(file));
      return opened;
    }
    const bool exists = file.is(planned_file::exists);
    target_file_request request;
    request.size = file.size;
    request.parent_is_fresh = !context_.directories[file.directory].may_hold_others();
    request.replaces_links = file.is(planned_file::replaced);
    request.must_exist = exists && !request.replaces_links && file.remaining < file.blobs;
    request.sparse = context_.options.sparse && !exists;
    request.preallocate = file.blobs > 1 && !request.sparse;
    request.removes_directories = context_.options.delete_extra;
    auto opened = open_target_file(directory->get(), file.name, request, path_of(file));
    file.set(planned_file::created);
    return opened;
  }

  void write(const planned_file& file, int descriptor, byte_view content, std::uint64_t position) {
    // Existing files are not made sparse: where zeros belong there may be something else now.
    if (context_.options.sparse && !file.is(planned_file::exists))
      write_sparse_at(descriptor, content, position, path_of(file));
    else
      write_at(descriptor, content, position, path_of(file));
  }

  /// The last step, for a file that is open or not.
  void finish(std::uint32_t number, file_descriptor opened) {
    auto& file = context_.plan.files[number];
    if (file.is(planned_file::unusable)) return;
    try {
      if (!opened) {
        if (file.is(planned_file::failed) && !file.is(planned_file::created)) return;
        opened = open(file);
      }
      apply_file_metadata(context_, file, opened.get());
      if (const int reason = opened.close(); reason != 0)
        throw system_error(reason, "cannot write to " + path_of(file));
    } catch (const error& problem) {
      fail(file, problem);
    }
    if (!file.is(planned_file::failed)) report(file);
  }

  void report(const planned_file& file) {
    ++context_.reporter.counters().files_restored;
    const bool updated = file.is(planned_file::exists);
    context_.reporter.item(updated ? restore_action::file_updated : restore_action::file_restored,
                           [&] { return path_of(file); }, file.size);
  }

  void close(open_files::slot& slot) {
    auto& file = context_.plan.files[slot.file];
    if (const int reason = slot.descriptor.close(); reason != 0)
      fail(file, system_error(reason, "cannot write to " + path_of(file)));
  }

  restore_context& context_;
  open_files open_files_;
};

/// What one thread needs.
class content_writer::worker {
public:
  explicit worker(content_writer& writer)
      : writer_(writer), context_(writer.context_), reader_(context_.repo) {}

  void restore(const pack_part& todo) {
    const auto& references = context_.plan.references;
    const auto pack = context_.repo.index().at(references[todo.first].blob).pack;
    reader_.load({file_type::pack, pack}, todo.offset, todo.length);
    runs_.clear();
    for (std::size_t first = todo.first; first < todo.end;) {
      std::size_t end = first + 1;
      while (end < todo.end && references[end].blob == references[first].blob) ++end;
      runs_.push_back({first, end, context_.repo.index().at(references[first].blob).blob});
      first = end;
    }
    reader_.open_all(runs_.size(), [this](std::size_t i) { return runs_[i].blob; },
                     [&](std::size_t i, const error* problem, byte_view content) {
                       if (context_.reporter.token().stop_requested()) return;
                       for (auto at = runs_[i].first; at < runs_[i].end; ++at) place(references[at], problem, content);
                     });
  }

private:
  /// References to one blob.
  struct run_of_references {
    std::size_t first, end;
    packed_blob blob;
  };

  void place(const blob_reference& reference, const error* unreadable, byte_view content) {
    auto& file = context_.plan.files[reference.file];
    if (unreadable != nullptr) {
      writer_.fail(file, *unreadable);
    } else if (!file.is(planned_file::unusable)) {
      try {
        if (file.blobs == 1) return write_whole(reference.file, content);
        write_part(reference, content);
      } catch (const error& problem) {
        file.set(planned_file::unusable);
        writer_.fail(file, problem);
      }
    }
    if (file.remaining.fetch_sub(1) != 1) return;
    const auto slot = writer_.open_files_.take(reference.file);
    writer_.finish(reference.file, slot ? std::move(slot->descriptor) : file_descriptor());
  }

  /// Made, written, given its metadata and closed in one go: nearly all files have one blob.
  void write_whole(std::uint32_t number, byte_view content) {
    auto& file = context_.plan.files[number];
    auto opened = writer_.open(file);
    writer_.write(file, opened.get(), content, 0);
    context_.reporter.counters().bytes_restored += content.size();
    file.remaining = 0;
    writer_.finish(number, std::move(opened));
  }

  void write_part(const blob_reference& reference, byte_view content) {
    auto& file = context_.plan.files[reference.file];
    auto& slot = writer_.open_files_.acquire(reference.file);
    std::optional<error> problem;
    try {
      {
        const std::lock_guard lock(slot.opening);
        if (!slot.descriptor) slot.descriptor = writer_.open(file);
      }
      writer_.write(file, slot.descriptor.get(), content, reference.position);
      context_.reporter.counters().bytes_restored += content.size();
    } catch (const error& thrown) {
      problem = thrown;
    }
    for (auto& evicted : writer_.open_files_.release(slot)) writer_.close(*evicted);
    if (problem) throw error(*problem);
  }

  content_writer& writer_;
  restore_context& context_;
  part_reader reader_;
  std::vector<run_of_references> runs_;
};

inline void content_writer::run() {
  context_.reporter.phase(restore_phase::writing);
  write_files_without_work();
  sort_references();
  const auto parts = divide();
  std::atomic<std::size_t> next{0};
  worker_group group(context_.reporter.token());
  group.add(context_.threads, [&](const std::stop_token& stop) {
    worker self(*this);
    while (!stop.stop_requested()) {
      const auto mine = next.fetch_add(1);
      if (mine >= parts.size()) return;
      self.restore(parts[mine]);
    }
  });
  group.join();
  for (auto& slot : open_files_.take_all()) close(*slot);
}

}  // namespace recoup
