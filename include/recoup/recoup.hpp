// All of recoup. The list is written by cmake/umbrella.cmake (`make umbrella`); a test compares.
#pragma once

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/time.hpp>
#include <recoup/core/version.hpp>

#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/node.hpp>

#include <recoup/storage/backend.hpp>
