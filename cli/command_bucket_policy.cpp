#include <fstream>
#include <iterator>
#include <memory>

#include <recoup/s3/bucket/anonymous_access.hpp>

#include "bucket.hpp"
#include "flags.hpp"

namespace recoup::cli {

namespace {

void print(const context& call, const bucket_end& end) {
  const auto document = get_policy(*end.client, end.bucket());
  const auto policy = document.empty() ? bucket_policy{} : parse_policy(document);
  const auto access = anonymous_access_in(policy, end.bucket());
  const auto others = count_other_public_statements(policy);
  if (call.options.json) {
    json_writer json;
    json.begin_object().field("bucket", end.bucket()).key("policy");
    if (document.empty())
      json.null();
    else
      json.raw(to_json(policy));
    json.key("anonymous_access").begin_array();
    for (const auto& [prefix, kind] : access)
      json.begin_object().field("prefix", prefix).field("access", name_of(kind)).end_object();
    return call.out.result(json.end_array().field("other_public_statements", others).end_object().take());
  }
  if (document.empty()) return call.out.result("no policy: only who signs, and may, gets at bucket " + end.bucket());
  call.out.result(document);
  for (const auto& [prefix, kind] : access)
    call.out.result(std::string("everyone, without signing: ") + name_of(kind) +
                    (prefix.empty() ? "" : " below " + prefix));
  if (others != 0) call.out.result(std::to_string(others) + " more statements let everyone in: read them above");
}

void run_set(context& call, const std::string& file) {
  if (!file.empty()) {
    std::ifstream stream(file, std::ios::binary);
    const std::string document(std::istreambuf_iterator<char>(stream), {});
    if (!stream) throw error(error_code::not_found, "cannot read the policy in " + file);
    const auto end = open_bucket(call);
    (void)parse_policy(document, file);
    put_policy(*end.client, end.bucket(), document);
    return print(call, end);
  }
  if (call.arguments.empty())
    throw usage_error("bucket policy set expects private, download, upload or public, or --file");
  const auto access = parse_anonymous_access(call.arguments[0]);
  if (!access) throw usage_error("\"" + call.arguments[0] + "\" is none of private, download, upload and public");
  const auto end = open_bucket(call, 1);
  // The prefix counts only where it was written for this command: a repository's is there for other reasons.
  const auto prefix = call.arguments.size() > 1 ? end.directory() : std::string();
  set_anonymous_access(*end.client, end.bucket(), prefix, *access);
  print(call, end);
}

void run_remove(context& call) {
  const auto end = open_bucket(call);
  delete_policy(*end.client, end.bucket());
  print(call, end);
}

}  // namespace

void add_bucket_policy_command(command_tree& tree, CLI::App& bucket) {
  auto& group = *tree.add(bucket, "policy", "[command]", "Who may do what with a bucket").app;
  tree.add(group, "remove", "[flags] [location]", "Remove the whole policy").run = run_remove;

  const auto file = std::make_shared<std::string>();
  auto& set = tree.add(group, "set", "[flags] private|download|upload|public [location]",
                       "Say what everyone may do, or set a policy from a file");
  set.details =
      "Lets everyone, without signing, list and read (download), write and delete (upload), all of that (public) or\n"
      "nothing (private) in a bucket, or below the prefix that the location has; other statements of the policy stay.\n"
      "With --file the document in it replaces the policy.\n";
  add_text(*set.app, "--file", *file, "a policy as JSON", "file");
  set.words = {"private", "download", "upload", "public"};
  set.run = [file](context& call) { run_set(call, *file); };

  tree.add(group, "show", "[flags] [location]", "Show the policy").run = [](context& call) {
    print(call, open_bucket(call));
  };
}

}  // namespace recoup::cli
