#include "command.hpp"

#include <CLI/CLI.hpp>

#include <utility>

#include "command_schedule.hpp"

namespace recoup::cli {

command_tree::command_tree(std::string program_name)
    : owned_root(
          std::make_unique<CLI::App>("Back up files into a restic repository, and get them back", program_name)),
      root(*owned_root),
      program(std::move(program_name)) {
  root.set_help_flag();  // ours, in command_line.cpp, comes without an argument parser of its own
  add_global_options(root, options);
  add_backup_command(*this);
  add_bucket_command(*this);
  add_cache_command(*this);
  add_cat_command(*this);
  add_check_command(*this);
  add_copy_command(*this);
  add_diff_command(*this);
  add_dump_command(*this);
  add_engine_command(*this);
  add_features_command(*this);
  add_find_command(*this);
  add_forget_command(*this);
  add_generate_command(*this);
  add_init_command(*this);
  add_key_command(*this);
  add_list_command(*this);
  add_ls_command(*this);
  add_migrate_command(*this);
  add_mount_command(*this);
  add_options_command(*this);
  add_prune_command(*this);
  add_rebuild_index_command(*this);
  add_recover_command(*this);
  add_repair_command(*this);
  add_restore_command(*this);
  add_rewrite_command(*this);
  add_schedule_command(*this);
  add_self_update_command(*this);
  add_snapshots_command(*this);
  add_stats_command(*this);
  add_tag_command(*this);
  add_unlock_command(*this);
  add_verify_command(*this);
  add_version_command(*this);
}

command_tree::~command_tree() = default;

command& command_tree::add(CLI::App& parent, const std::string& name, const std::string& usage,
                           const std::string& summary) {
  auto made = std::make_unique<command>();
  made->app = parent.add_subcommand(name, summary);
  made->app->set_help_flag();
  made->usage = usage;
  commands.push_back(std::move(made));
  return *commands.back();
}

const command* command_tree::find(const CLI::App* app) const {
  for (const auto& each : commands)
    if (each->app == app) return each.get();
  return nullptr;
}

void expect_no_arguments(const context& call, const std::string& command_name) {
  if (call.arguments.empty()) return;
  throw error(error_code::invalid_argument,
              "the " + command_name + " command expects no arguments, only options - please see `" + call.commands.program +
                  " help " + command_name + "` for usage and flags");
}

}  // namespace recoup::cli
