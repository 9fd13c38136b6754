// `recoup engine`: reads requests, calls the methods, writes the answers. The protocol is in docs/engine.md.
#include <string>

#include <recoup/core/version.hpp>
#include <recoup/json/json_writer.hpp>

#include "engine.hpp"
#include "engine_failure.hpp"
#include "engine_input.hpp"
#include "engine_request.hpp"

namespace recoup::cli {

namespace {

json_writer begin_message(const std::string& id, const char* type) {
  json_writer json;
  json.begin_object().field("v", engine_protocol).key("id").raw(id).field("type", type);
  return json;
}

class engine {
public:
  engine(context& call, const engine_methods& methods)
      : call_(call), methods_(methods), input_(call.screen.input(), call.signals, longest_engine_request) {}

  void run() {
    say_hello();
    for (;;) {
      const auto found = input_.next();
      if (found == engine_input::outcome::end) return;
      // Nobody reads the answers any more.
      if (call_.screen.output_problem() != 0) return;
      if (found == engine_input::outcome::too_long)
        send_failure("null", error(error_code::invalid_argument,
                                   "a request is longer than " + std::to_string(longest_engine_request) + " bytes"));
      else
        serve(input_.line());
      call_.throw_if_stopped();
    }
  }

private:
  void say_hello() {
    std::vector<std::string> names;
    for (const auto& [name, method] : methods_) names.push_back(name);
    send(json_writer{}
             .begin_object()
             .field("v", engine_protocol)
             .field("type", "hello")
             .field("engine", "recoup")
             .field("version", library_version)
             .strings("methods", names)
             .end_object()
             .take());
  }

  void serve(std::string_view line) {
    engine_request request;
    std::string connection;
    try {
      parser_.parse(line, request);
      if (!request.params.at_key("repository").error())
        connection = "repository.location";
      else if (!request.params.at_key("s3").error())
        connection = "s3.endpoint";
      const auto method = methods_.find(request.method);
      if (method == methods_.end())
        throw error(error_code::unsupported, "there is no method \"" + request.method +
                                                 "\" in this engine: the first line that it prints lists them");
      const std::function<void(std::string_view)> progress = [&](std::string_view json) {
        send(begin_message(request.id, "progress").key("progress").raw(json).end_object().take());
      };
      engine_call call{request.params, call_, progress};
      auto answer = begin_message(request.id, "result").key("result").raw(method->second(call)).end_object().take();
      forget();
      send(answer);
    } catch (const std::exception& problem) {
      forget();
      send_failure(request.id, problem, connection);
    }
  }

  void send_failure(const std::string& id, const std::exception& problem, const std::string& connection = {}) {
    const auto failure = describe_failure(problem, connection);
    auto json = begin_message(id, "error");
    json.key("error").begin_object().field("code", failure.word).field("message", failure.message);
    if (!failure.attribute.empty()) json.field("attribute", failure.attribute);
    send(json.field("exit_code", failure.exit_code).end_object().end_object().take());
  }

  /// Nothing secret is left of the request when its answer goes out.
  void forget() {
    parser_.wipe();
    input_.drop_line();
  }

  /// From any thread. A whole line, at once.
  void send(const std::string& line) { call_.screen.print(line); }

  context& call_;
  const engine_methods& methods_;
  engine_input input_;
  engine_request_parser parser_;
};

void run(context& call) {
  expect_no_arguments(call, "engine");
  engine_methods methods;
  add_calendar_methods(methods);
  add_schedule_methods(methods);
  add_bucket_methods(methods);
  add_object_methods(methods);
  add_repository_methods(methods);
  engine(call, methods).run();
}

}  // namespace

void add_engine_command(command_tree& tree) {
  auto& command = tree.add(tree.root, "engine", "[flags]", "Serve another program's requests, one JSON object a line");
  command.details =
      "Reads requests from stdin and writes answers to stdout, each a JSON object in a line of its own, until the end\n"
      "of its input. It is what the Terraform provider runs; docs/engine.md has the protocol and the methods. Secrets\n"
      "come in requests, so that no argument and no variable has to hold them.\n";
  command.run = run;
}

}  // namespace recoup::cli
