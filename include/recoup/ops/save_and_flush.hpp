// Storing blobs such that a failure loses none of those that are stored.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <recoup/repo/repository.hpp>

namespace recoup {

/// Runs `save`, which stores blobs, then makes them durable, and returns what it returned. When `save` fails or is
/// interrupted, what was stored so far is put into an index before the error is passed on: the next backup or copy finds
/// it, and none of it is left over in the repository object.
template <class Save>
[[nodiscard]] auto save_and_flush(repository& repo, Save&& save) {
  const auto guarded = [&] {
    try {
      return save();
    } catch (const std::exception& first) {
      try {
        repo.flush();
      } catch (const std::exception& second) {
        // Mostly it is the storage that fails: then it says the same twice.
        if (std::string_view(first.what()) != second.what())
          repo.warn(std::string("what was stored until then could not be indexed: ") + second.what());
      }
      throw;
    }
  };
  auto result = guarded();
  repo.flush();
  return result;
}

}  // namespace recoup
