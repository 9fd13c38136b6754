// What `stats --json` prints, and the machine interface answers.
#pragma once

#include <string>

#include <recoup/ops/stats.hpp>

#include "json_output.hpp"

namespace recoup::cli {

[[nodiscard]] inline std::string to_json(const repository_stats& counted) {
  json_writer json;
  json.begin_object().field("total_size", counted.total_size);
  field_unless_zero(json, "total_uncompressed_size", counted.total_uncompressed_size);
  field_unless_zero(json, "compression_ratio", counted.compression_ratio);
  field_unless_zero(json, "compression_progress", counted.compression_progress);
  field_unless_zero(json, "compression_space_saving", counted.compression_space_saving);
  field_unless_zero(json, "total_file_count", counted.total_file_count);
  field_unless_zero(json, "total_blob_count", counted.total_blob_count);
  return json.field("snapshots_count", counted.snapshots_count).end_object().take();
}

}  // namespace recoup::cli
