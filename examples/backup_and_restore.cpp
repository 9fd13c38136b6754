// Backs a directory up into a repository, made if there is none, and restores the snapshot into another directory.
//
//   backup_and_restore REPOSITORY DIRECTORY TARGET      (the password is taken from RESTIC_PASSWORD)
#include <recoup/recoup.hpp>

#include <cstdlib>
#include <iostream>

namespace {

struct printing_backup_observer : recoup::backup_observer {
  void on_error(const std::string& path, const recoup::error& problem) override {
    std::cerr << path << ": " << problem.what() << '\n';
  }
};

struct printing_restore_observer : recoup::restore_observer {
  void on_error(const std::string& path, const recoup::error& problem) override {
    std::cerr << path << ": " << problem.what() << '\n';
  }
};

std::shared_ptr<recoup::repository> open_or_create(const std::string& location, const std::string& password) {
  try {
    return recoup::repository::open(recoup::open_backend(location), password);
  } catch (const recoup::error& problem) {
    if (problem.code() != recoup::error_code::repository_missing) throw;
    return recoup::repository::create(recoup::open_backend(location), password);
  }
}

int run(const std::string& location, const std::string& password, const std::string& source, const std::string& target) {
  const auto repo = open_or_create(location, password);
  // Shared: others may back up meanwhile, but nobody may remove what this backup counts on.
  const recoup::repository_lock lock(*repo, {});

  recoup::backup_options what;
  what.targets = {source};
  what.hostname = "example";
  what.parent = recoup::find_parent(*repo, what);
  printing_backup_observer backup_observer;
  const auto made = recoup::backup(*repo, what, backup_observer);
  std::cout << "snapshot " << made.snapshot_id.value().short_hex() << ": " << made.summary.total_files_processed
            << " files, " << made.summary.total_bytes_processed << " bytes, " << made.summary.data_added_packed
            << " of them added to the repository\n";

  recoup::restore_options where;
  where.target = target;
  where.verify = true;
  printing_restore_observer restore_observer;
  // The snapshot holds the path it was made from; restore what is in the source, not the directories above it.
  const auto tree = recoup::find_subtree(*repo, made.snapshot.tree, recoup::absolute_path(source));
  const auto restored = recoup::restore(*repo, tree, where, restore_observer);
  std::cout << "restored " << restored.files_restored << " entries into " << target << '\n';
  if (restored.errors != 0) return 1;
  return made.errors == 0 ? 0 : recoup::exit_code(recoup::error_code::incomplete);
}

}  // namespace

int main(int argc, char** argv) {
  const char* password = std::getenv("RESTIC_PASSWORD");
  if (argc != 4 || password == nullptr) {
    std::cerr << "usage: RESTIC_PASSWORD=… backup_and_restore REPOSITORY DIRECTORY TARGET\n";
    return 1;
  }
  try {
    return run(argv[1], password, argv[2], argv[3]);
  } catch (const recoup::error& problem) {
    std::cerr << problem.what() << '\n';
    return recoup::exit_code(problem.code());
  }
}
