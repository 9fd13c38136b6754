// What the passes of one restore share.
#pragma once

#include <string>

#include <recoup/fs/apply_metadata.hpp>
#include <recoup/ops/restore/directories.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/ops/restore/plan.hpp>
#include <recoup/ops/restore/reporter.hpp>
#include <recoup/repo/repository.hpp>

namespace recoup {

struct restore_context {
  repository& repo;
  const restore_options& options;
  restore_reporter& reporter;
  directory_table& directories;
  restore_plan& plan;
  apply_options metadata;
  warning_function on_metadata_problem;  ///< counts as an error of the item
  unsigned threads;
};

/// `file` is open as `descriptor`, or that is -1. What fails is reported.
inline void apply_file_metadata(restore_context& context, const planned_file& file, int descriptor) {
  const auto directory = context.directories.open(file.directory);
  node from;
  context.plan.recall(file.metadata, node_type::file, from);
  apply_metadata(directory->get(), file.name, descriptor, from, context.directories.path(file.directory, file.name),
                 context.metadata, context.on_metadata_problem);
}

}  // namespace recoup
