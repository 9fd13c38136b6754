// Where each file lies below a repository's root. The same for directories and for object stores (restic design.rst,
// "Repository Layout"):
//
//     config   keys/<id>   locks/<id>   snapshots/<id>   index/<id>   data/<first two digits>/<id>
#pragma once

#include <array>
#include <string>

#include <recoup/storage/backend.hpp>

namespace recoup {

/// The types whose files are named by ids, so all but the config.
inline constexpr std::array listed_file_types{file_type::key, file_type::lock, file_type::snapshot, file_type::index,
                                              file_type::pack};

/// "keys", "data"; for the config "".
[[nodiscard]] constexpr const char* directory_of(file_type type) noexcept {
  switch (type) {
    case file_type::config: return "";
    case file_type::key: return "keys";
    case file_type::lock: return "locks";
    case file_type::snapshot: return "snapshots";
    case file_type::index: return "index";
    case file_type::pack: return "data";
  }
  return "";
}

/// The directory a file is in, relative to the root: "", "keys", "data/ab".
[[nodiscard]] inline std::string parent_directory(const stored_file& file) {
  std::string path = directory_of(file.type);
  if (file.type == file_type::pack) path.append("/").append(file.name.hex(), 0, 2);
  return path;
}

/// "config" or the id in hexadecimal.
[[nodiscard]] inline std::string file_name(const stored_file& file) {
  return file.type == file_type::config ? "config" : file.name.hex();
}

/// Relative to the root, without a leading slash.
[[nodiscard]] inline std::string relative_path(const stored_file& file) {
  auto path = parent_directory(file);
  if (!path.empty()) path += '/';
  return path += file_name(file);
}

}  // namespace recoup
