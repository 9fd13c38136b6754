// Files of a snapshot as a stream: one as it is, a directory as a tar or zip archive.
//
//   const auto target = recoup::find_dump_target(*repo, snapshot.tree, "/etc");
//   recoup::dump(*repo, target, {}, [](recoup::byte_view more) { write_all(STDOUT_FILENO, more); });
//
// Blobs are loaded ahead on several threads, across the borders of files: many small files are as fast as one large
// one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/ops/dump/archive_entry.hpp>
#include <recoup/ops/dump/blob_read_ahead.hpp>
#include <recoup/ops/dump/tar_writer.hpp>
#include <recoup/ops/dump/zip_writer.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

enum class archive_format { tar, zip };

[[nodiscard]] inline std::optional<archive_format> parse_archive_format(std::string_view text) noexcept {
  if (text == "tar") return archive_format::tar;
  if (text == "zip") return archive_format::zip;
  return std::nullopt;
}

struct dump_options {
  archive_format format = archive_format::tar;  ///< of directories
  unsigned threads = 0;                         ///< that load blobs; 0: one per processor or connection
  /// Told of what is left out of an archive: names that no file can have, directories that cannot be read. The rest is
  /// archived. Nothing: errors are thrown.
  std::function<void(const std::string& path, const error&)> on_error;
  std::stop_token stop{};
};

/// A file or a directory of a snapshot.
struct dump_target {
  std::string path;          ///< absolute in the tree it was looked up in
  std::optional<node> file;  ///< set for a file
  id tree{};                 ///< of a directory

  [[nodiscard]] bool is_directory() const noexcept { return !file.has_value(); }
};

/// Looks a path up; "/" or "" is the whole tree. Throws not_found, or invalid_argument if it is neither file nor
/// directory. The index must be loaded.
[[nodiscard]] inline dump_target find_dump_target(repository& repo, const id& root, std::string_view path) {
  const auto cleaned = clean_path("/" + std::string(path));
  const auto names = split_path(cleaned);
  dump_target target{"", std::nullopt, root};
  for (std::size_t i = 0; i < names.size(); ++i) {
    target.path.append("/").append(names[i]);
    const bool is_last = i + 1 == names.size();
    auto at = find_in_tree(repo, target.tree, names[i]);
    if (!at)
      throw error(error_code::not_found, "path \"" + go_quoted(target.path) + "\" not found in snapshot");
    if (at->type == node_type::dir && at->subtree) {
      target.tree = *at->subtree;
    } else if (is_last && at->type == node_type::file) {
      target.file = std::move(*at);
    } else {
      throw error(error_code::invalid_argument, "\"" + go_quoted(target.path) + "\" should be a " +
                                                    (is_last ? "file" : "dir") + ", but is a \"" + name_of(at->type) +
                                                    "\"");
    }
  }
  return target;
}

/// Writes entries one after another while the blobs of the next ones are on their way.
template <class Writer>
class entry_stream {
public:
  /// `pull` gives the next entry, or nothing at the end.
  entry_stream(repository& repo, const dump_options& options, Writer& writer,
               std::function<std::optional<walked_node>()> pull)
      : repo_(repo), writer_(writer), pull_(std::move(pull)), ahead_(repo, options.threads, options.stop) {}

  void run() {
    for (feed(); !pending_.empty(); feed()) {
      write_first();
      pending_.pop_front();
      feeding_ -= feeding_ > 0 ? 1 : 0;
    }
    writer_.finish();
  }

private:
  // Wanted blobs and entries in memory, whatever their size: loading is bounded by bytes elsewhere.
  static constexpr std::size_t most_blobs = 256, most_entries = 1024;

  struct entry {
    walked_node at;
    std::uint64_t size = 0;
    std::size_t wanted = 0;  ///< blobs that were asked for

    [[nodiscard]] const std::vector<id>& blobs() const {
      static const std::vector<id> none;
      return at.node.type == node_type::file && at.node.content ? *at.node.content : none;
    }
  };

  void feed() {
    for (auto waiting = ahead_.waiting(); waiting < most_blobs;) {
      if (feeding_ == pending_.size()) {
        if (pending_.size() >= most_entries || !pull_next()) return;
      }
      auto& next = pending_[feeding_];
      if (next.wanted == next.blobs().size()) {
        ++feeding_;
      } else {
        ahead_.want(next.blobs()[next.wanted++]);
        ++waiting;
      }
    }
  }

  [[nodiscard]] bool pull_next() {
    if (at_end_) return false;
    auto pulled = pull_();
    at_end_ = !pulled;
    if (at_end_) return false;
    pending_.push_back({std::move(*pulled)});
    auto& added = pending_.back();
    // What the blobs add up to is the length of what follows, even if the node says something else.
    for (const auto& blob : added.blobs()) {
      const auto length = repo_.index().plaintext_length({blob_type::data, blob});
      if (!length)
        throw error(error_code::not_found,
                    added.at.path + ": data blob " + blob.hex() + " is in no index; run `check`");
      added.size += *length;
    }
    return true;
  }

  void write_first() {
    auto& first = pending_.front();
    writer_.begin(first.at.path, first.at.node, first.size);
    try {
      for (std::size_t i = 0; i < first.blobs().size(); ++i) {
        if (i == first.wanted || ahead_.waiting() < most_blobs / 2) feed();
        writer_.write(ahead_.take());
      }
    } catch (const error& problem) {
      if (problem.code() != error_code::damaged && problem.code() != error_code::not_found) throw;
      throw error(problem.code(), first.at.path + ": " + problem.what());
    }
    writer_.end();
  }

  repository& repo_;
  Writer& writer_;
  const std::function<std::optional<walked_node>()> pull_;
  std::deque<entry> pending_;
  std::size_t feeding_ = 0;  // the entry whose blobs are asked for next
  bool at_end_ = false;
  blob_read_ahead ahead_;
};

namespace dumping {

/// For a single file: its content and nothing else.
struct plain_writer {
  const byte_sink& out;
  void begin(const std::string&, const node&, std::uint64_t) {}
  void write(byte_view content) { out(content); }
  void end() {}
  void finish() {}
};

/// The entries that archives hold: files, directories and symlinks. Names that would lead out of the directory where
/// the archive is unpacked are refused.
[[nodiscard]] inline std::optional<walked_node> next_archived(tree_walk& walk, const dump_options& options) {
  while (auto* at = walk.next()) {
    if (!is_safe_name(at->node.name)) {
      const error problem(error_code::damaged,
                          "refused: \"" + go_quoted(at->node.name) + "\" cannot be the name of a file");
      if (!options.on_error) throw error(problem.code(), at->path + ": " + problem.what());
      options.on_error(at->path, problem);
      walk.skip();
      continue;
    }
    if (at->node.type == node_type::file || at->node.type == node_type::dir || at->node.type == node_type::symlink)
      return std::move(*at);
  }
  return std::nullopt;
}

template <class Writer>
void dump_directory(repository& repo, const dump_target& target, const dump_options& options, Writer&& writer) {
  tree_walk_options walking{target.path, {}, options.stop};
  if (options.on_error)
    walking.on_error = [&](const std::string& path, const id&, const error& problem) {
      options.on_error(path, problem);
    };
  tree_walk walk(repo, target.tree, std::move(walking));
  entry_stream<std::remove_reference_t<Writer>>(repo, options, writer, [&] {
    return next_archived(walk, options);
  }).run();
}

}  // namespace dumping

/// Writes a file's content, or an archive of what is in a directory; names in the archive are paths from the root that
/// the target was looked up from. Throws damaged, with the path, if a content cannot be read: an archive that ends
/// early must not pass for a whole one. The index must be loaded.
inline void dump(repository& repo, const dump_target& target, const dump_options& options, const byte_sink& out) {
  if (!target.is_directory()) {
    std::optional<walked_node> only(std::in_place);
    only->path = target.path;
    only->node = *target.file;
    dumping::plain_writer writer{out};
    entry_stream<dumping::plain_writer>(repo, options, writer, [&] { return std::exchange(only, std::nullopt); }).run();
  } else if (options.format == archive_format::tar) {
    dumping::dump_directory(repo, target, options, tar_writer(out));
  } else {
    dumping::dump_directory(repo, target, options, zip_writer(out));
  }
}

}  // namespace recoup
