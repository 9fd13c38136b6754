# Settings for the targets that we build ourselves (never for consumers): warnings and sanitizers.
function(recoup_own_target target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  # g++ 12 sees overlapping copies in std::string where there are none (GCC bug 105651).
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(RECOUP_SANITIZE)
    # Alignment and nonnull reports stay on: a hostile repository reaches both through lengths of zero.
    target_compile_options(${target} PRIVATE -fsanitize=${RECOUP_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${RECOUP_SANITIZE})
    if(RECOUP_SANITIZE MATCHES "undefined")
      target_compile_options(${target} PRIVATE -fno-sanitize-recover=undefined)
    endif()
  endif()
endfunction()
