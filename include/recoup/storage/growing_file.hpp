// A file that is stored under a name which is known only when its last byte is: a pack.
#pragma once

#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/storage/stored_file.hpp>

namespace recoup {

/// Whoever makes the file appends to `tail`. Storage that can take a file in pieces takes them from there, so that a pack
/// need not fit into memory; other storage leaves all of it there until save(). Not thread-safe. Destroyed without save(),
/// it leaves nothing behind that a list shows.
class growing_file {
public:
  /// `memory` becomes the tail's, so that one file after another needs no new pages.
  explicit growing_file(bytes memory) : tail(std::move(memory)) { tail.clear(); }
  growing_file(const growing_file&) = delete;
  growing_file& operator=(const growing_file&) = delete;
  virtual ~growing_file() = default;

  /// Called when what is in the tail will not change any more. Storage that takes it leaves an empty tail. Throws as
  /// backend::save does.
  virtual void take_tail() = 0;

  /// Replaces `into` with what was taken so far.
  virtual void read_taken(bytes& into) const = 0;

  /// Stores the file, tail included, with the promises of backend::save. Called once.
  virtual void save(const stored_file& file) = 0;

  bytes tail;
};

}  // namespace recoup
