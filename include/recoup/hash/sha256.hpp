// SHA-256, the name of everything in a repository, of one message or of several at once.
//
// A processor's SHA instructions wait for each other within one message, so two or three messages take hardly longer
// than one. Whoever has several to hash says so in one call:
//
//   sha256_state pack;                                     // lives as long as the pack grows
//   std::array<id, 3> names;
//   sha256_update(std::array{
//       sha256_job{.data = first, .name = &names[0]},      // hashed whole
//       sha256_job{.data = second, .name = &names[1]},
//       sha256_job{.data = third, .name = &names[2]},
//       sha256_job{.state = &pack, .data = appended},      // goes on; .name as well would finish it
//   });
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/hash/dispatch.hpp>
#include <recoup/hash/sha256_lanes.hpp>
#include <recoup/hash/sha256_message.hpp>

namespace recoup {

/// Does all jobs, as many at once as this processor takes; any number of any lengths, in no order. No two may share a
/// state or a name. All memory is the caller's; nothing is allocated. Thread-safe for different states.
/// Throws as `best_sha256_kernel_entry` does, before anything is done; so does everything below.
inline void sha256_update(std::span<const sha256_job> jobs) {
  sha256_run(best_sha256_kernel_entry(), jobs.size(), [jobs](std::size_t i) { return jobs[i]; });
}

/// names[i] becomes the hash of inputs[i]. Throws invalid_argument if there are not as many of both.
inline void sha256_many(std::span<const byte_view> inputs, std::span<id> names) {
  if (inputs.size() != names.size())
    throw error(error_code::invalid_argument, "SHA-256: " + std::to_string(inputs.size()) + " inputs, but " +
                                                  std::to_string(names.size()) + " names");
  sha256_run(best_sha256_kernel_entry(), inputs.size(),
             [inputs, names](std::size_t i) { return sha256_job{.data = inputs[i], .name = &names[i]}; });
}

/// names[i] becomes the hash of what went into states[i], which begins anew. Throws invalid_argument if there are not
/// as many of both.
inline void sha256_finish(std::span<sha256_state> states, std::span<id> names) {
  if (states.size() != names.size())
    throw error(error_code::invalid_argument, "SHA-256: " + std::to_string(states.size()) + " states, but " +
                                                  std::to_string(names.size()) + " names");
  sha256_run(best_sha256_kernel_entry(), states.size(),
             [states, names](std::size_t i) { return sha256_job{.state = &states[i], .name = &names[i]}; });
}

/// Thread-safe.
[[nodiscard]] inline id sha256(byte_view content) {
  id name;
  sha256_alone(best_sha256_kernel_entry(), {.data = content, .name = &name});
  return name;
}

/// Hashes what comes in pieces. Not thread-safe. After `finish` it starts again from nothing. A copy goes on by itself.
class sha256_stream {
public:
  void update(byte_view more) { sha256_alone(best_sha256_kernel_entry(), {.state = &state_, .data = more}); }

  [[nodiscard]] id finish() {
    id name;
    sha256_alone(best_sha256_kernel_entry(), {.state = &state_, .name = &name});
    return name;
  }

  /// Forgets what came in.
  void restart() noexcept { state_ = {}; }

  /// For `sha256_update` beside others.
  [[nodiscard]] sha256_state& state() noexcept { return state_; }

private:
  sha256_state state_;
};

}  // namespace recoup
