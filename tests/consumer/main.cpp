// A repository made, filled and read through the installed headers.
#include <recoup/recoup.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string_view>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::remove_all(argv[1]);
  constexpr std::string_view content = "what must not be lost";
  recoup::id name;
  {
    recoup::create_options cheap;
    cheap.kdf = recoup::scrypt_parameters{1024, 8, 1};
    auto repo = recoup::repository::create(recoup::open_backend(argv[1]), "password", cheap);
    name = repo->save_blob(recoup::blob_type::data, recoup::as_bytes(content)).id;
    repo->flush();
  }
  auto repo = recoup::repository::open(recoup::open_backend(argv[1]), "password");
  repo->load_index();
  if (!std::ranges::equal(repo->load_blob(recoup::blob_type::data, name), recoup::as_bytes(content))) return 1;
  std::cout << "recoup " << recoup::library_version << " reads back blob " << name.short_hex() << '\n';
  return 0;
}
