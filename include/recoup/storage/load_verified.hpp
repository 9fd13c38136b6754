// What is done about damaged bytes: the file is loaded once more if that may help, and then given up.
#pragma once

#include <utility>

#include <recoup/core/error.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

/// Calls `load`, which loads bytes of the file and verifies them, and passes on what it returns. If it throws damaged,
/// and the bytes came over a network or from a copy on this machine, it is called a second time; what that throws
/// reaches the caller. Once is enough: bytes that arrive wrong twice are wrong in the repository.
template <class Load>
decltype(auto) load_verified(backend& storage, const stored_file& file, Load&& load) {
  try {
    return load();
  } catch (const error& problem) {
    if (problem.code() != error_code::damaged || !storage.reload_may_help(file)) throw;
  }
  return load();
}

}  // namespace recoup
