// This file judges when a Schedule is due, with the library that Velero's server uses (up to 1.18).
package velero

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the image that Terraform comes in has no time zones

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/robfig/cron/v3"

	"github.com/recoup/terraform-provider-recoup/internal/validate"
)

func cronExpression() validator.String {
	return validate.Text{Wants: "a cron expression as Velero takes it", Check: checkCron}
}

// checkCron gives the reason why Velero would call the schedule FailedValidation.
func checkCron(expression string) (err error) {
	const example = `. Write five fields (minute, hour, day of the month, month, day of the week), as "0 2 * * 0"; or @daily, @every 6h; ` +
		`with a time zone before it, as "CRON_TZ=Europe/Berlin 0 2 * * *"`
	defer func() {
		// cron panics where a time zone is all that there is.
		if recover() != nil {
			err = errors.New("Velero cannot read this" + example)
		}
	}()
	zone, _, hasZone := strings.Cut(expression, " ")
	if _, name, found := strings.Cut(zone, "="); hasZone && found && (strings.HasPrefix(zone, "TZ=") || strings.HasPrefix(zone, "CRON_TZ=")) {
		if _, err := time.LoadLocation(name); err != nil {
			return fmt.Errorf("there is no time zone %q. Write it as in Europe/Berlin", name)
		}
	}
	due, err := cron.ParseStandard(expression)
	if err != nil {
		return fmt.Errorf("Velero cannot read this (%w)%s", err, example)
	}
	if every, ok := due.(cron.ConstantDelaySchedule); ok && every.Delay < time.Minute {
		return errors.New("Velero looks once a minute, so that it would make one backup after the other" + example)
	}
	if due.Next(time.Now()).IsZero() {
		return errors.New("there is no such day: Velero would never make a backup" + example)
	}
	return nil
}
