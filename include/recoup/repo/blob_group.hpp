// Some blobs of a pack at a time: opened one after the other, and their names then verified together, because hashing
// several streams at once takes hardly longer than one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/release_pages.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_codec.hpp>

namespace recoup {

/// Keeps its memory: one per thread, not thread-safe.
class blob_group {
public:
  static constexpr std::size_t most = 64;
  /// Bytes of content, at most; a single blob may be larger.
  static constexpr std::size_t usual_size = std::size_t{4} << 20;

  struct opened {
    blob_handle handle;
    byte_view content{};
    std::optional<error> problem{};  ///< why there is no content
  };

  /// Begins a group. What was in the last one is gone.
  void clear() {
    if (filled_ > usual_size) release_pages(byte_span(memory_).subspan(usual_size));
    filled_ = total_ = 0;
    results_.clear();
  }

  /// True if a blob of so many bytes should wait for the next group.
  [[nodiscard]] bool is_full_for(std::uint64_t plaintext_length) const noexcept {
    return !results_.empty() && (results_.size() == most || total_ + plaintext_length > usual_size);
  }
  /// Bytes of content.
  [[nodiscard]] std::size_t total() const noexcept { return total_; }

  /// Opens a blob into the group's own memory. What is wrong with it is told in results(); the others are as they are.
  void add(const packed_blob& blob, byte_view sealed, blob_codec& codec) {
    open(blob, [&] { return byte_view(codec.decode(blob, sealed, [this](std::size_t size) { return room(size); })); });
  }

  /// The same in less memory: a blob that is stored as it is ends up in the place of its box.
  void add_in_place(const packed_blob& blob, byte_span sealed, blob_codec& codec) {
    open(blob, [&] { return codec.decode_in_place(blob, sealed, [this](std::size_t size) { return room(size); }); });
  }

  /// A blob for which there is nothing to open.
  void add_missing(const packed_blob& blob, const error& problem) {
    results_.push_back({blob.handle, {}, problem});
  }

  /// Hashes all blobs, and does `beside` at the same time.
  void verify(const sha256_job& beside = {}) {
    std::array<sha256_job, most + 1> jobs;
    std::array<id, most> names;
    std::size_t count = 0;
    for (std::size_t i = 0; i < results_.size(); ++i)
      if (!results_[i].problem) jobs[count++] = {.data = results_[i].content, .name = &names[i]};
    if (beside.state != nullptr) jobs[count++] = beside;
    sha256_update(std::span(jobs).first(count));
    for (std::size_t i = 0; i < results_.size(); ++i)
      if (auto& [handle, content, problem] = results_[i]; !problem && names[i] != handle.id) {
        content = {};
        problem = blob_codec::wrong_name(handle);
      }
  }

  /// In the order in which blobs were added. Contents can be trusted after verify(), and are valid until clear().
  [[nodiscard]] const std::vector<opened>& results() const noexcept { return results_; }

private:
  template <class Open>
  void open(const packed_blob& blob, Open&& open_it) {
    auto& result = results_.emplace_back(opened{blob.handle});
    const auto filled_before = filled_;
    try {
      result.content = open_it();
      total_ += result.content.size();
      return;
    } catch (const error& problem) {
      result.problem.emplace(problem);
    } catch (const std::bad_alloc&) {
      result.problem.emplace(error_code::failure, "not enough memory for a blob of " +
                                                      std::to_string(blob.plaintext_length()) + " bytes");
    }
    filled_ = filled_before;  // total_, by which others are let in, does not count it either
  }

  /// Memory that stays where it is until clear(). Grows only while nothing lies in it.
  [[nodiscard]] byte_span room(std::size_t size) {
    if (filled_ == 0 && size > memory_.size()) memory_ = bytes(std::max(size, usual_size));
    if (size > memory_.size() - filled_) throw error(error_code::invalid_argument, "a group of blobs is full");
    const auto place = byte_span(memory_).subspan(filled_, size);
    filled_ += size;
    return place;
  }

  std::vector<opened> results_;
  bytes memory_;
  std::size_t filled_ = 0;  ///< bytes of the memory
  std::size_t total_ = 0;
};

}  // namespace recoup
