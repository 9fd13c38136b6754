// A snapshot in the place of another, or beside it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>

namespace recoup {

/// True if the tag was not there before.
inline bool add_tag(snapshot& to, const std::string& tag) {
  if (std::ranges::find(to.tags, tag) != to.tags.end()) return false;
  to.tags.push_back(tag);
  return true;
}

/// One that is gone already counts as removed.
inline void remove_snapshot(repository& repo, const id& name) {
  try {
    repo.remove(file_type::snapshot, name);
  } catch (const error& problem) {
    if (problem.code() != error_code::not_found) throw;
  }
}

/// Removes a snapshot whose successor `now` is stored. If that fails there are two, which the message says.
inline void remove_replaced(repository& repo, const id& old, const id& now) {
  try {
    remove_snapshot(repo, old);
  } catch (const error& problem) {
    throw error(problem.code(), "the new snapshot " + now.short_hex() + " is stored, but the old one could not be removed: " +
                                    problem.what() + "; remove it with `forget " + old.short_hex() + "`");
  }
}

}  // namespace recoup
