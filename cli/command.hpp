// What a command is made of, and what it gets when it runs.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>

#include "flags.hpp"
#include "global_options.hpp"
#include "interrupt.hpp"
#include "printer.hpp"
#include "terminal.hpp"

namespace recoup::cli {

/// Its message is printed as it is, without "Fatal: " or "Warning: ".
class plain_error : public error {
public:
  using error::error;
};

/// A command line that makes no sense.
class usage_error : public plain_error {
public:
  explicit usage_error(const std::string& message) : plain_error(error_code::invalid_argument, message) {}
};

struct command_tree;

struct context {
  const global_options& options;
  terminal& screen;
  interrupt& signals;
  const printer& out;
  std::vector<std::string> arguments;  ///< all that is neither flag nor command
  const command_tree& commands;
  bool ends_by_signal = false;  ///< a command sets it when being asked to stop is no failure any more

  void throw_if_stopped() const {
    if (signals.token().stop_requested()) throw error(error_code::interrupted, "interrupted");
  }
};

struct command {
  CLI::App* app = nullptr;
  std::string usage;    ///< what follows the name: "[flags] snapshotID file"
  std::string details;  ///< paragraphs for --help
  std::function<void(context&)> run;  ///< none: the command only groups others
  std::vector<std::string> words;     ///< what the first argument can be, for completion
};

struct command_tree {
  const std::unique_ptr<CLI::App> owned_root;
  CLI::App& root;
  global_options options;
  std::vector<std::unique_ptr<command>> commands;
  const std::string program;  ///< the name that help, advice, scripts and manual pages use: see own_name()

  /// All commands of this program.
  explicit command_tree(std::string program_name = "recoup");
  command_tree(const command_tree&) = delete;
  command_tree& operator=(const command_tree&) = delete;
  ~command_tree();

  command& add(CLI::App& parent, const std::string& name, const std::string& usage, const std::string& summary);
  [[nodiscard]] const command* find(const CLI::App* app) const;
};

// Each of these is in command_<name>.cpp.
void add_backup_command(command_tree& tree);
void add_bucket_command(command_tree& tree);
void add_cache_command(command_tree& tree);
void add_cat_command(command_tree& tree);
void add_check_command(command_tree& tree);
void add_copy_command(command_tree& tree);
void add_diff_command(command_tree& tree);
void add_dump_command(command_tree& tree);
void add_engine_command(command_tree& tree);
void add_features_command(command_tree& tree);
void add_find_command(command_tree& tree);
void add_forget_command(command_tree& tree);
void add_generate_command(command_tree& tree);
void add_init_command(command_tree& tree);
void add_key_command(command_tree& tree);
void add_list_command(command_tree& tree);
void add_ls_command(command_tree& tree);
void add_migrate_command(command_tree& tree);
void add_mount_command(command_tree& tree);
void add_options_command(command_tree& tree);
void add_prune_command(command_tree& tree);
void add_rebuild_index_command(command_tree& tree);
void add_recover_command(command_tree& tree);
void add_repair_command(command_tree& tree);
void add_restore_command(command_tree& tree);
void add_rewrite_command(command_tree& tree);
void add_self_update_command(command_tree& tree);
void add_snapshots_command(command_tree& tree);
void add_stats_command(command_tree& tree);
void add_tag_command(command_tree& tree);
void add_unlock_command(command_tree& tree);
void add_verify_command(command_tree& tree);
void add_version_command(command_tree& tree);

/// Throws if there are arguments.
void expect_no_arguments(const context& call, const std::string& command_name);

}  // namespace recoup::cli
