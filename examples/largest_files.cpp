// The ten largest files of the latest snapshot, read from its trees: no file content is touched.
//
//   largest_files REPOSITORY      (the password is taken from RESTIC_PASSWORD)
#include <recoup/recoup.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>
#include <vector>

namespace {

using sized_path = std::pair<std::uint64_t, std::string>;

std::vector<sized_path> files_of(recoup::repository& repo, const recoup::id& root) {
  std::vector<sized_path> files;
  std::vector<std::pair<recoup::id, std::string>> open{{root, ""}};
  while (!open.empty()) {
    const auto [tree, path] = open.back();
    open.pop_back();
    for (const auto& node : recoup::decode_tree(repo.load_blob(recoup::blob_type::tree, tree))) {
      if (node.type == recoup::node_type::dir && node.subtree) open.emplace_back(*node.subtree, path + "/" + node.name);
      if (node.type == recoup::node_type::file) files.emplace_back(node.size, path + "/" + node.name);
    }
  }
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  const char* password = std::getenv("RESTIC_PASSWORD");
  if (argc != 2 || password == nullptr) {
    std::cerr << "usage: RESTIC_PASSWORD=… largest_files REPOSITORY\n";
    return 1;
  }
  try {
    const auto repo = recoup::repository::open(recoup::open_backend(argv[1]), password);
    repo->load_index();
    auto files = files_of(*repo, recoup::find_snapshot(*repo, "latest").snapshot.tree);
    const auto shown = std::min<std::ptrdiff_t>(10, std::ssize(files));
    std::ranges::partial_sort(files, files.begin() + shown, std::ranges::greater{});
    for (auto each = files.begin(); each != files.begin() + shown; ++each)
      std::cout << each->first << '\t' << each->second << '\n';
    return 0;
  } catch (const recoup::error& problem) {
    std::cerr << problem.what() << '\n';
    return recoup::exit_code(problem.code());
  }
}
