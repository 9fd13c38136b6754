// Which message runs in which lane of a kernel, and when: so that all lanes are busy until the end, whatever the
// lengths.
//
// All lanes take blocks at the same pace, so the end is near when the sum is spread evenly: after
// T = max(longest message, sum of all / lanes) blocks. McNaughton's rule (Management Science 6, 1959) reaches that
// without sorting: fill one lane after the other up to T; what does not fit whole is cut, its later part ends this
// lane and its earlier part begins the next one. The parts cannot overlap, as no message is longer than T.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <recoup/hash/dispatch.hpp>
#include <recoup/hash/sha256_message.hpp>

namespace recoup {

/// Does the jobs job_at(0) … job_at(count - 1), each of which is asked for more than once.
template <class JobAt>
class sha256_lanes {
public:
  sha256_lanes(const sha256_kernel_entry& kernel, std::size_t count, const JobAt& job_at)
      : kernel_(kernel), job_at_(job_at) {
    plan(count);
  }

  void run() {
    // Backwards, so that a message that was cut is set down by one lane before the lane below takes it up.
    for (std::size_t i = used_; i-- > 0;) advance(i);
    for (;;) {
      std::array<sha256_lane*, sha256_most_lanes> busy;
      std::size_t count = 0;
      auto blocks = unlimited;
      for (std::size_t i = used_; i-- > 0;)
        if (const auto& lane = lanes_[i]; lane.now != nullptr) {
          busy[count++] = lane.now;
          blocks = std::min({blocks, lane.now->left, lane.until_cut});
        }
      if (count == 0) return;
      kernel_.function(busy.data(), count, blocks);
      for (std::size_t i = used_; i-- > 0;)
        if (auto& lane = lanes_[i]; lane.now != nullptr) {
          lane.now->left -= blocks;
          if (lane.until_cut != unlimited) lane.until_cut -= blocks;
          if (lane.now->left == 0 || lane.until_cut == 0) advance(i);
        }
    }
  }

private:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  struct lane_work {
    sha256_message* now;
    std::size_t next, end;    ///< the jobs that it still has to do
    bool ends_with_cut;       ///< then the later part of what the next lane begins with
    std::size_t until_cut;    ///< blocks after which it sets its message down
    sha256_message own, cut;  ///< `cut` is shared with the next lane

    void begin(std::size_t first) noexcept {
      now = nullptr;
      next = first;
      ends_with_cut = false;
      until_cut = unlimited;
    }
  };

  void plan(std::size_t count) {
    std::uint64_t sum = 0, longest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto blocks = sha256_block_count(job_at_(i));
      sum += blocks;
      longest = std::max(longest, blocks);
    }
    const auto end = std::max(longest, (sum + kernel_.lanes - 1) / kernel_.lanes);
    std::uint64_t filled = 0;
    auto* current = lanes_.data();
    current->begin(0);
    for (std::size_t i = 0; i < count; ++i) {
      const auto blocks = sha256_block_count(job_at_(i));
      filled += blocks;
      if (filled <= end) continue;
      filled -= end;  // what is left of it is for the next lane
      current->end = i;
      auto* const following = current + 1;
      following->begin(i);
      if (filled < blocks) {
        current->ends_with_cut = true;
        current->cut.start(job_at_(i));
        following->now = &current->cut;
        following->until_cut = static_cast<std::size_t>(filled);
        following->next = i + 1;
      }
      current = following;
    }
    current->end = count;
    used_ = static_cast<std::size_t>(current - lanes_.data()) + 1;
  }

  /// To the next blocks for lane i. It has none any more if `now` is null afterwards.
  void advance(std::size_t i) {
    auto& lane = lanes_[i];
    if (lane.until_cut == 0) {
      lane.until_cut = unlimited;
      lane.now = nullptr;
    }
    for (;;) {
      if (lane.now != nullptr && (lane.now->left > 0 || lane.now->next_part())) return;
      lane.now = nullptr;
      if (lane.next < lane.end) {
        lane.now = &lane.own;
        lane.own.start(job_at_(lane.next++));
      } else if (lane.ends_with_cut) {
        lane.ends_with_cut = false;
        lane.now = &lane.cut;
      } else {
        return;
      }
    }
  }

  const sha256_kernel_entry& kernel_;
  const JobAt& job_at_;
  std::size_t used_ = 0;
  std::array<lane_work, sha256_most_lanes> lanes_;  // only as many begin as are used: there is no time for eight
};

/// One job in one lane.
inline void sha256_alone(const sha256_kernel_entry& kernel, const sha256_job& job) {
  sha256_message message;
  message.start(job);
  sha256_lane* const lane = &message;
  while (message.next_part()) kernel.function(&lane, 1, message.left);
}

/// As `sha256_update`, with a kernel of one's choice.
template <class JobAt>
void sha256_run(const sha256_kernel_entry& kernel, std::size_t count, const JobAt& job_at) {
  if (count == 1) return sha256_alone(kernel, job_at(std::size_t{0}));
  if (count > 1) sha256_lanes<JobAt>(kernel, count, job_at).run();
}

}  // namespace recoup
