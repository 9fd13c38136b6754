// All trees of a snapshot, on all threads, each directory with its path.
//
// Unlike those that only collect blobs, this reads a tree as often as the snapshot holds it: what a path means to the
// visitor depends on the path.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/ops/restore/repeated_names.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

/// A Visitor has
///   scratch                                                          a type: what each thread keeps for itself
///   directory                                                        a type: what it keeps while one tree is read
///   directory begin(const std::string& path)                         "" for the root
///   bool visit(directory&, const std::string& path, node&, scratch&) true: enter it, if it is a directory
///   void end(directory&, bool complete, scratch&)                    false if some of the tree could not be told
///   void refuse(const std::string& path, const node*, const error&)  a node that makes no sense; null if it is its name,
///                                                                    or the tree of the directory `path`
/// Members are called from any thread. What they throw ends the walk.
template <class Visitor>
class snapshot_walk {
public:
  using scratch = typename Visitor::scratch;
  using work = typename work_stack<scratch>::work;

  snapshot_walk(repository& repo, unsigned threads, Visitor& visitor, std::stop_token stop)
      : repo_(repo), threads_(threads), visitor_(visitor), stop_(std::move(stop)) {}

  /// What is below `root`. The index must be loaded. Throws interrupted.
  void run(const id& root) {
    stack_.push([this, root](scratch& own) { read("", root, own); });
    stack_.run_on_threads(threads_, stop_);
  }

  /// For a visitor: more to do, before any further tree is read.
  void add_urgent(work item) { stack_.push_urgent(std::move(item)); }

private:
  void read(const std::string& path, const id& tree, scratch& own) {
    auto here = visitor_.begin(path);
    repeated_names names;
    std::vector<work> below;
    bool complete = true;
    const auto take = [&](node& entry) {
      throw_if_stopped(stop_);
      const auto at = path + "/" + entry.name;
      if (const auto* fault = fault_of_name(entry, names)) {
        complete = false;
        return visitor_.refuse(at, nullptr, error(error_code::damaged, fault));
      }
      if (const auto* fault = fault_of(entry)) return visitor_.refuse(at, &entry, error(error_code::damaged, fault));
      const auto subtree = entry.type == node_type::dir ? entry.subtree : std::nullopt;
      if (visitor_.visit(here, at, entry, own) && subtree)
        below.emplace_back([this, at, subtree](scratch& mine) { read(at, *subtree, mine); });
    };
    try {
      for_each_node(repo_, tree, take);
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      complete = false;
      visitor_.refuse(path.empty() ? "/" : path, nullptr,
                      error(problem.code(), std::string("its tree cannot be read: ") + problem.what()));
    }
    visitor_.end(here, complete, own);
    stack_.push_in_order(std::move(below));
  }

  // What a restore would refuse; null if nothing is wrong.

  [[nodiscard]] static const char* fault_of_name(const node& entry, repeated_names& names) {
    if (!is_safe_name(entry.name)) return "no file can have this name";
    return names.is_repeated(entry.name) ? "its directory holds this name more than once" : nullptr;
  }

  [[nodiscard]] static const char* fault_of(const node& entry) {
    if (entry.type == node_type::irregular || entry.type == node_type::unknown)
      return "it is neither a file nor a directory, symlink, device or fifo";
    if (entry.type == node_type::dir && (!entry.subtree || entry.subtree->is_zero()))
      return "the directory has no tree";
    if (entry.type == node_type::file && !entry.content) return "the file has no list of blobs";
    return nullptr;
  }

  repository& repo_;
  const unsigned threads_;
  Visitor& visitor_;
  const std::stop_token stop_;
  work_stack<scratch> stack_;
};

}  // namespace recoup
