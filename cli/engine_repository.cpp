// The methods repository.… of the machine interface.
#include "engine.hpp"

namespace recoup::cli {

void add_repository_methods(engine_methods& /*to*/) {}

}  // namespace recoup::cli
