// This file is the functions oncalendar and cron_next.
package functions

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type onCalendar struct{}

// NewOnCalendar makes oncalendar(expression).
func NewOnCalendar() function.Function { return onCalendar{} }

func (onCalendar) Metadata(_ context.Context, _ function.MetadataRequest, response *function.MetadataResponse) {
	response.Name = "oncalendar"
}

func (onCalendar) Definition(_ context.Context, _ function.DefinitionRequest, response *function.DefinitionResponse) {
	response.Definition = function.Definition{
		Summary: "Calendar expressions of systemd for a cron expression",
		MarkdownDescription: "Translates a cron expression (`0 2 * * *`, `@daily`, `CRON_TZ=Europe/Berlin 30 4 * * mon-fri`) " +
			"into what `OnCalendar=` of a systemd timer means the same " +
			"by: a list, because some cron expressions need several. An `OnCalendar` expression is checked and given back " +
			"normalized. What has no equivalent is an error.",
		Parameters: []function.Parameter{function.StringParameter{Name: "expression", MarkdownDescription: "A cron expression, or an `OnCalendar` expression."}},
		Return:     function.ListReturn{ElementType: types.StringType},
	}
}

func (onCalendar) Run(ctx context.Context, request function.RunRequest, response *function.RunResponse) {
	var expression string
	if response.Error = request.Arguments.Get(ctx, &expression); response.Error != nil {
		return
	}
	var result struct {
		OnCalendar []string `json:"on_calendar"`
		Why        string   `json:"why_no_on_calendar"`
	}
	parameters := map[string]any{"expression": expression, "syntax": "auto"}
	if response.Error = call(ctx, "calendar.parse", parameters, &result, map[string]int64{"expression": 0}); response.Error != nil {
		return
	}
	if len(result.OnCalendar) == 0 {
		response.Error = function.NewArgumentFuncError(0, fmt.Sprintf("%q has no equivalent in systemd: "+
			"%s", expression, strings.TrimSpace(result.Why)))
		return
	}
	response.Error = response.Result.Set(ctx, result.OnCalendar)
}

type cronNext struct{}

// NewCronNext makes cron_next(expression, after, count).
func NewCronNext() function.Function { return cronNext{} }

func (cronNext) Metadata(_ context.Context, _ function.MetadataRequest, response *function.MetadataResponse) {
	response.Name = "cron_next"
}

func (cronNext) Definition(_ context.Context, _ function.DefinitionRequest, response *function.DefinitionResponse) {
	response.Definition = function.Definition{
		Summary: "When a schedule is due next",
		MarkdownDescription: "The next times of a cron or `OnCalendar` expression after a given time, RFC 3339. Without a " +
			"time zone of its own the expression is read in UTC. The " +
			"time is an argument, because a function has to give the same result whenever it is called: `plantimestamp()` is " +
			"now.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "expression", MarkdownDescription: "A cron expression, or an `OnCalendar` " +
				"expression."},
			function.StringParameter{Name: "after", MarkdownDescription: "RFC 3339."},
			function.Int64Parameter{Name: "number", MarkdownDescription: "How many times, 1 to 1000."},
		},
		Return: function.ListReturn{ElementType: types.StringType},
	}
}

func (cronNext) Run(ctx context.Context, request function.RunRequest, response *function.RunResponse) {
	var expression, after string
	var count int64
	if response.Error = request.Arguments.Get(ctx, &expression, &after, &count); response.Error != nil {
		return
	}
	if count < 1 || count > 1000 {
		response.Error = function.NewArgumentFuncError(2, fmt.Sprintf("%d times cannot be given: ask for 1 to 1000", count))
		return
	}
	var result struct {
		Times []string `json:"times"`
	}
	parameters := map[string]any{"expression": expression, "syntax": "auto", "count": count, "after": after, "time_zone": "UTC"}
	if response.Error = call(ctx, "calendar.next", parameters, &result, map[string]int64{"expression": 0, "after": 1, "count": 2}); response.Error != nil {
		return
	}
	if result.Times == nil {
		result.Times = []string{}
	}
	response.Error = response.Result.Set(ctx, result.Times)
}
