// Reading files of the target and comparing them, blob by blob, with what the snapshot says: before writing, to keep
// what is right already; and after writing, if the user wants proof.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/worker_group.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/ops/restore/context.hpp>
#include <recoup/ops/restore/target_file.hpp>

namespace recoup {

namespace content_check {

/// Fills `into` from `position` on. False if the file ends earlier. Throws io.
[[nodiscard]] inline bool read_at(int file, byte_span into, std::uint64_t position, const std::string& path) {
  while (!into.empty()) {
    const auto got = ::pread(file, into.data(), into.size(), static_cast<off_t>(position));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read " + path);
    if (got == 0) return false;
    into = into.subspan(static_cast<std::size_t>(got));
    position += static_cast<std::uint64_t>(got);
  }
  return true;
}

/// Whether the file holds the blob at its place. `scratch` is kept by the caller to save allocations.
[[nodiscard]] inline bool holds(int file, const blob_reference& reference, const blob_index& index, bytes& scratch,
                                const std::string& path) {
  const auto blob = index.at(reference.blob).blob;
  scratch.resize(blob.plaintext_length());
  return read_at(file, scratch, reference.position, path) && sha256(scratch) == blob.handle.id;
}

}  // namespace content_check

/// Finds out what of the existing files can stay. Afterwards `remaining` of each file is the number of blobs to write,
/// and references that need no writing have the pack `blob_reference::matches`. Unchanged files get their metadata
/// here.
class existing_content {
public:
  explicit existing_content(restore_context& context) : context_(context) {}

  void run() {
    auto& plan = context_.plan;
    if (plan.comparisons.empty()) return;
    context_.reporter.phase(restore_phase::comparing);
    parallel_for_each(context_.threads, plan.comparisons, [this](const comparison& part) { compare(part); },
                      context_.reporter.token());
    settle_matches();
    std::uint32_t last = UINT32_MAX;
    std::vector<std::uint32_t> files;
    for (const auto& part : plan.comparisons)
      if (std::exchange(last, part.file) != part.file) files.push_back(part.file);
    plan.comparisons = {};
    parallel_for_each(context_.threads, files, [this](std::uint32_t number) { settle(number); },
                      context_.reporter.token());
  }

private:
  /// What cannot be read counts as different; writing will then tell what is wrong with it.
  void compare(const comparison& part) {
    auto& file = context_.plan.files[part.file];
    const auto path = context_.directories.path(file.directory, file.name);
    try {
      const auto directory = context_.directories.open(file.directory);
      const auto opened = open_regular_file(directory->get(), file.name, O_RDONLY);
      struct stat status {};
      if (!opened || ::fstat(opened.get(), &status) != 0) return;
      if (static_cast<std::uint64_t>(status.st_size) != file.size) file.set(wrong_size);
      if (status.st_nlink > 1) file.set(shared);
      bytes scratch;
      for (std::size_t i = part.first; i < part.first + part.count; ++i) {
        throw_if_stopped(context_.reporter.token());
        auto& reference = context_.plan.references[i];
        if (!content_check::holds(opened.get(), reference, context_.repo.index(), scratch, path)) continue;
        reference.pack = blob_reference::matches;
        --file.remaining;
      }
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
    }
  }

  /// A file that is to be changed but has other names is replaced by a new one: the others keep what they have. Then
  /// nothing of it can stay. What does stay of the others counts as restored, as in restic.
  void settle_matches() {
    auto& plan = context_.plan;
    for (const auto& part : plan.comparisons) {
      auto& file = plan.files[part.file];
      if (file.is(shared) && needs_work(file)) file.set(planned_file::replaced);
      if (!needs_work(file)) continue;
      for (std::size_t i = part.first; i < part.first + part.count; ++i) {
        auto& reference = plan.references[i];
        if (reference.pack != blob_reference::matches) continue;
        const auto place = context_.repo.index().at(reference.blob);
        if (file.is(planned_file::replaced))
          reference.pack = plan.packs.at(place.pack);
        else if (!context_.options.dry_run)  // which counts files as a whole
          context_.reporter.counters().bytes_restored += place.blob.plaintext_length();
      }
      if (file.is(planned_file::replaced)) file.remaining = file.blobs;
    }
  }

  [[nodiscard]] static bool needs_work(const planned_file& file) noexcept {
    return file.remaining != 0 || file.is(wrong_size);
  }

  void settle(std::uint32_t number) {
    auto& file = context_.plan.files[number];
    auto& counters = context_.reporter.counters();
    const auto path = [&] { return context_.directories.path(file.directory, file.name); };
    if (needs_work(file)) {
      ++counters.total_files;
      counters.total_bytes += file.size;
      return;
    }
    file.set(planned_file::unchanged);
    ++counters.files_skipped;
    counters.bytes_skipped += file.size;
    context_.reporter.item(restore_action::file_unchanged, path, file.size);
    if (!context_.options.dry_run) context_.reporter.attempt(path, [&] { apply_file_metadata(context_, file, -1); });
  }

  // Bits of planned_file::state that mean something here only.
  static constexpr std::uint8_t wrong_size = 64, shared = 128;

  restore_context& context_;
};

/// Reads everything that was written again. Needs all references, and sorts them by file.
class content_verification {
public:
  explicit content_verification(restore_context& context) : context_(context) {}

  void run() {
    auto& plan = context_.plan;
    context_.reporter.phase(restore_phase::verifying);
    std::sort(plan.references.begin(), plan.references.end(), [](const auto& a, const auto& b) {
      return a.file != b.file ? a.file < b.file : a.position < b.position;
    });
    std::vector<comparison> parts = divide();
    parallel_for_each(context_.threads, parts, [this](const comparison& part) { verify(part); },
                      context_.reporter.token());
  }

private:
  [[nodiscard]] std::vector<comparison> divide() {
    constexpr std::size_t at_once = 16;
    auto& plan = context_.plan;
    std::vector<comparison> parts;
    std::size_t next = 0;
    for (std::uint32_t number = 0; number < plan.files.size(); ++number) {
      auto& file = plan.files[number];
      const auto begin = next;
      next += file.blobs;
      if (file.is(planned_file::unchanged) || file.is(planned_file::failed)) continue;
      ++context_.reporter.counters().files_to_verify;
      file.remaining = file.blobs == 0 ? 1 : static_cast<std::uint32_t>((file.blobs + at_once - 1) / at_once);
      auto first = begin;
      do {
        const auto count = std::min(at_once, next - first);
        parts.push_back({number, static_cast<std::uint32_t>(count), first});
        first += count;
      } while (first < next);
    }
    return parts;
  }

  void verify(const comparison& part) {
    auto& file = context_.plan.files[part.file];
    const auto path = context_.directories.path(file.directory, file.name);
    const bool good = context_.reporter.attempt([&] { return path; }, [&] { check(part, file, path); });
    if (!good) file.set(planned_file::failed);
    if (--file.remaining == 0 && !file.is(planned_file::failed)) ++context_.reporter.counters().files_verified;
  }

  void check(const comparison& part, const planned_file& file, const std::string& path) const {
    if (file.is(planned_file::failed)) return;
    const auto directory = context_.directories.open(file.directory);
    const auto opened = open_regular_file(directory->get(), file.name, O_RDONLY);
    struct stat status {};
    if (!opened || ::fstat(opened.get(), &status) != 0)
      throw system_error(errno, "cannot verify " + path);
    if (static_cast<std::uint64_t>(status.st_size) != file.size)
      throw error(error_code::damaged, "wrong size of " + path + " after restoring: expected " +
                                           std::to_string(file.size) + " bytes, got " + std::to_string(status.st_size));
    bytes scratch;
    for (const auto& reference : std::span(context_.plan.references).subspan(part.first, part.count)) {
      throw_if_stopped(context_.reporter.token());
      if (!content_check::holds(opened.get(), reference, context_.repo.index(), scratch, path))
        throw error(error_code::damaged, "wrong content of " + path + " after restoring, from byte " +
                                             std::to_string(reference.position) +
                                             " on; the disk or another program changed it");
    }
  }

  restore_context& context_;
};

}  // namespace recoup
